package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"github.com/tesd/tesd/client"
)

// pages serves lists of n things, no more than most at once, and notes what was asked for.
func pages(t *testing.T, n, most int) (c *client.Client, asked func() []string) {
	t.Helper()
	var lines []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines = append(lines, r.RequestURI)
		q := r.URL.Query()
		if q.Get("q") == "broken" && len(lines) > 1 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		after := -1
		if text := q.Get("after"); text != "" {
			after, _ = strconv.Atoi(text)
		}
		if last, err := strconv.Atoi(q.Get("last")); err == nil {
			after = n - 1 - last
		}
		limit, _ := strconv.Atoi(q.Get("limit"))
		if limit == 0 {
			limit = n
		}
		end := min(n, after+1+min(limit, most))
		var registry client.RegistryResponse
		var history client.HistoryResponse
		for i := after + 1; i < end; i++ {
			registry.Entities = append(registry.Entities, client.Entity{ID: fmt.Sprintf("%04d", i)})
			history.Events = append(history.Events, client.Event{Revision: uint64(i)})
		}
		if end < n {
			registry.Next, history.Next = fmt.Sprintf("%04d", end-1), uint64(end-1)
		}
		if r.URL.Path == "/version/history" {
			json.NewEncoder(w).Encode(history)
		} else {
			json.NewEncoder(w).Encode(registry)
		}
	}))
	t.Cleanup(server.Close)
	return newClient(t, []string{server.URL}), func() []string {
		defer func() { lines = nil }()
		return lines
	}
}

func TestLists(t *testing.T) {
	c, asked := pages(t, 2500, 1000)
	for _, limit := range []int{0, 1, 999, 1000, 1001, 2500, 3000} {
		want := 2500
		if limit > 0 {
			want = min(limit, want)
		}
		n := 0
		for e, err := range c.Entities(t.Context(), client.RegistryOptions{Limit: limit}) {
			if err != nil || e.ID != fmt.Sprintf("%04d", n) {
				t.Fatalf("limit %d: entity %d is %q, %v", limit, n, e.ID, err)
			}
			n++
		}
		if n != want {
			t.Errorf("limit %d: %d entities, want %d", limit, n, want)
		}
		events := c.Events(t.Context(), client.HistoryOptions{Limit: limit, Receipts: true})
		for range 2 { // a sequence can be ranged over again
			n = 0
			for e, err := range events {
				if err != nil || e.Revision != uint64(n) {
					t.Fatalf("limit %d: event %d is %d, %v", limit, n, e.Revision, err)
				}
				n++
			}
			if n != want {
				t.Errorf("limit %d: %d events, want %d", limit, n, want)
			}
		}
	}
	asked()
	for range c.Entities(t.Context(), client.RegistryOptions{Type: "component"}) {
		break
	}
	if got, want := asked(), []string{"/version/registry?limit=1000&type=component"}; !slices.Equal(got, want) {
		t.Errorf("a list that is left at once asks for %v, want %v", got, want)
	}
	n := 0
	for range c.Events(t.Context(), client.HistoryOptions{Last: 7}) {
		n++
	}
	if got, want := asked(), []string{"/version/history?last=7"}; n != 7 || !slices.Equal(got, want) {
		t.Errorf("the newest 7 are %d, asked for by %v, want %v", n, got, want)
	}
}

func TestListsEndWithTheirError(t *testing.T) {
	c, _ := pages(t, 2500, 1000)
	n, last := 0, error(nil)
	for _, err := range c.Entities(t.Context(), client.RegistryOptions{Query: "broken"}) {
		n, last = n+1, err
	}
	if n != 1001 || !errors.Is(last, client.ErrNotFound) {
		t.Errorf("%d came, the last with %v", n, last)
	}
}

// TestListsOfACircle meets a server whose next page is the same one again.
func TestListsOfACircle(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"events":[{"revision":1}],"entities":[{"id":"a"}],"next":`+map[bool]string{true: `1`, false: `"a"`}[r.URL.Path == "/version/history"]+`}`)
	}))
	defer server.Close()
	c := newClient(t, []string{server.URL})
	n, last := 0, error(nil)
	for _, err := range c.Entities(t.Context(), client.RegistryOptions{}) {
		n, last = n+1, err
	}
	if n != 2 || last == nil {
		t.Errorf("entities: %d came, the last with %v", n, last)
	}
	n, last = 0, nil
	for _, err := range c.Events(t.Context(), client.HistoryOptions{}) {
		n, last = n+1, err
	}
	if n != 2 || last == nil {
		t.Errorf("events: %d came, the last with %v", n, last)
	}
}
