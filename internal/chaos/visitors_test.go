package chaos_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/chaos"
)

// lonely is a cluster of one node.
func lonely(node *httptest.Server) *chaos.World {
	return &chaos.World{Endpoints: []chaos.Endpoint{{ID: "n1", URL: node.URL}}, Dial: func(string) chaos.Dial {
		return new(net.Dialer).DialContext
	}}
}

// TestMissingEntitiesAreFound has users read at a node that says of every entity that it is not there,
// and of those that never go away, too.
func TestMissingEntitiesAreFound(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method != http.MethodGet { // nothing comes of writes
			w.WriteHeader(http.StatusPreconditionFailed)
			fmt.Fprint(w, `{"success":false,"error":{"code":"REVISION_MISMATCH","message":"registry \"r\" is at revision 3, not 2","outcome":"rejected"}}`)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"success":false,"error":{"code":"ENTITY_NOT_FOUND","message":"there is no such entity","outcome":"rejected"}}`)
	}))
	defer node.Close()
	w := lonely(node)
	visitors, err := w.Visit(1, 4, 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	found := func() bool {
		for _, err := range w.Failures() {
			if strings.Contains(err.Error(), "a read at ") && strings.Contains(err.Error(), "ENTITY_NOT_FOUND") {
				return true
			}
		}
		return false
	}
	for end := time.After(10 * time.Second); !found(); {
		select {
		case <-time.After(time.Millisecond):
		case <-end:
			t.Fatalf("nobody noticed: %v", w.Failures())
		}
	}
	visitors.End()
}

// gloomy is a node at which no write has a good end, each in its own way.
type gloomy struct {
	mu     sync.Mutex
	writes map[string]int               // how often each came, by its name
	comes  map[string]bumpcheck.Outcome // what its user is to know
	keys   int                          // of those that came
}

// ServeHTTP answers a write, or not. What is read is not there.
func (l *gloomy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	answer := func(status int, code, outcome string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"success":false,"error":{"code":%q,"message":"no","outcome":%q}}`, code, outcome)
	}
	name := regexp.MustCompile(`user-0/[0-9]+`).FindString(string(body))
	if name == "" {
		answer(http.StatusNotFound, "ENTITY_NOT_FOUND", "rejected")
		return
	}
	l.mu.Lock()
	l.writes[name]++
	way := len(l.writes) % 4
	l.comes[name] = bumpcheck.Unknown
	if way == 0 {
		l.comes[name] = bumpcheck.NotApplied
	}
	if r.Header.Get("Idempotency-Key") != "" {
		l.keys++
	}
	l.mu.Unlock()
	switch way {
	case 0:
		answer(http.StatusServiceUnavailable, "NO_LEADER", "not_applied")
	case 1:
		answer(http.StatusGatewayTimeout, "OUTCOME_UNKNOWN", "unknown")
	case 2: // before there is an answer
		panic(http.ErrAbortHandler)
	default: // within it
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"revision":5`)
	}
}

// TestKeylessVisitorsSendOnce has the first of four users, who has no keys, write at a node that leaves it in the
// dark. It sends nothing twice, and takes for not applied only what it was told so of.
func TestKeylessVisitorsSendOnce(t *testing.T) {
	l := &gloomy{writes: make(map[string]int), comes: make(map[string]bumpcheck.Outcome)}
	node := httptest.NewServer(l)
	defer node.Close()
	visitors, err := lonely(node).Visit(1, 1, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	enough := func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.writes) >= 16
	}
	for end := time.After(20 * time.Second); !enough(); {
		select {
		case <-time.After(time.Millisecond):
		case <-end:
			t.Fatalf("%d writes came", len(l.writes))
		}
	}
	record := visitors.End()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys > 0 {
		t.Errorf("%d requests had keys", l.keys)
	}
	outcomes := make(map[bumpcheck.Outcome]int)
	for _, w := range record.Writes {
		name := w.Request.Name
		outcomes[w.Outcome]++
		switch came := l.writes[name]; {
		case came > 1:
			t.Errorf("%s came %d times", name, came)
		case came == 1 && w.Outcome != l.comes[name] && w.Outcome != bumpcheck.Unknown: // some have no patience
			t.Errorf("the outcome of %s is %d, want %d", name, w.Outcome, l.comes[name])
		}
	}
	if outcomes[bumpcheck.Unknown] == 0 || outcomes[bumpcheck.NotApplied] == 0 || len(outcomes) > 2 {
		t.Errorf("writes by their outcomes: %v", outcomes)
	}
}
