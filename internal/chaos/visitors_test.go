package chaos_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

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
	w := &chaos.World{Endpoints: []chaos.Endpoint{{ID: "n1", URL: node.URL}}, Dial: func(string) chaos.Dial {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	}}
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
