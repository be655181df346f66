package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
)

// TestCallerWhoLeaves is told to the node, which may still have the command to withdraw.
func TestCallerWhoLeaves(t *testing.T) {
	h := start(t)
	reached, told := make(chan struct{}), make(chan struct{})
	h.node.proposing = func(ctx context.Context) {
		close(reached)
		select {
		case <-cluster.OriginOf(ctx).Gone:
			close(told)
		case <-ctx.Done():
		}
	}
	caller, leave := context.WithCancel(t.Context())
	go func() {
		<-reached
		leave()
	}()
	r, err := http.NewRequestWithContext(caller, "POST", h.url+"/version/bump", strings.NewReader(`{"scope":"patch","entityId":"global:main"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if response, err := h.http.Do(r); err == nil {
		response.Body.Close()
		t.Errorf("the caller who left was answered: %s", response.Status)
	}
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Error("the node does not know that the caller left")
	}
}
