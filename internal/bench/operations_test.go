package main

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// TestKeyed: each bump has an idempotency key of its own, and those without have none.
func TestKeyed(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Header.Get("Idempotency-Key")]++
	}))
	defer server.Close()
	for _, prepare := range []func(*cluster) (operation, error){keyed, bumps(spread, false)} {
		op, err := prepare(&cluster{})
		if err != nil {
			t.Fatal(err)
		}
		for id := range 2 {
			w := newWorker(id, []string{server.URL})
			defer w.close()
			for range 3 {
				w.count++
				if _, err := op(w); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if len(seen) != 7 || seen[""] != 6 {
		t.Errorf("of 6 bumps with keys and 6 without: %v", seen)
	}
}
