package clienttest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/client/clienttest"
)

const (
	shop = "global:shop"
	cart = "component:cart"
)

// entities are a shop and the cart that moves with it.
func entities() []client.Entity {
	return []client.Entity{
		{ID: cart, Type: "component", CurrentVersion: "0.3.0", UpdateStrategy: "linked-to-parent", ParentVersionID: shop, DisplayName: "Cart"},
		{ID: shop, Type: "global", CurrentVersion: "1.4.2", UpdateStrategy: "independent", DisplayName: "Shop"},
	}
}

func start(t *testing.T, options ...clienttest.Option) *clienttest.Server {
	t.Helper()
	srv := clienttest.New(t, options...)
	srv.Seed(entities()...)
	return srv
}

func bump(t *testing.T, c *client.Client, options ...client.WriteOption) (*client.BumpResponse, error) {
	t.Helper()
	return c.Bump(t.Context(), client.BumpRequest{Scope: client.Minor, EntityID: shop}, options...)
}

// TestAnswersAreTrue takes a registry through what a cluster does with it.
func TestAnswersAreTrue(t *testing.T) {
	srv := start(t)
	c := srv.Client()
	resp, err := bump(t, c, client.IdempotencyKey("k"))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Revision != 2 || len(resp.Changes) != 2 || srv.Version(shop) != "1.5.0" || srv.Version(cart) != "0.4.0" {
		t.Errorf("answer is %+v, the shop at %s and the cart at %s", resp, srv.Version(shop), srv.Version(cart))
	}
	if again, err := bump(t, c, client.IdempotencyKey("k")); err != nil || !again.Replayed || again.TransactionID != resp.TransactionID {
		t.Errorf("the repeat answers %+v, %v", again, err)
	}
	_, err = c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: shop, ExpectedVersion: "1.4.2"})
	if !errors.Is(err, client.ErrConflict) {
		t.Errorf("a bump of another version: %v", err)
	}
	if _, err := c.Delete(t.Context(), shop); !errors.Is(err, client.ErrConflict) {
		t.Errorf("a delete of a parent: %v", err)
	}
	history, err := c.History(t.Context(), client.HistoryOptions{Receipts: true})
	if err != nil {
		t.Fatal(err)
	}
	done, err := client.Verifier{Key: srv.SigningKey()}.VerifyHistory(history.Events)
	if err != nil || done.Receipts != 2 || !done.Complete || !done.Signatures {
		t.Errorf("verified %+v, %v", done, err)
	}
	other := srv.Client(client.WithRegistry("other"))
	if _, err := other.Migrate(t.Context(), client.MigrateRequest{Source: "s", Entities: entities()}); err != nil {
		t.Errorf("another registry: %v", err)
	}
}

// TestNodeAnswersForItself asks what a node answers without a registry.
func TestNodeAnswersForItself(t *testing.T) {
	srv := start(t)
	c := srv.Client()
	if _, err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if health, err := c.Health(t.Context()); err != nil || health.Role != "leader" || health.Lifecycle != "RUNNING" || health.Revision != 1 {
		t.Errorf("health is %+v, %v", health, err)
	}
	state, err := c.Cluster(t.Context())
	if err != nil || len(state.Nodes) != 1 || "http://"+*state.Nodes[0].HTTPAddress != srv.URL {
		t.Errorf("cluster is %+v, %v", state, err)
	}
	if _, err := c.RemoveNode(t.Context(), "n1"); !errors.Is(err, client.ErrConflict) {
		t.Errorf("removing a node: %v", err)
	}
	resp, err := http.Get(srv.URL + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != `{"status":"ok"}` {
		t.Errorf("livez says %s, %v", body, err)
	}
}

func TestWithClock(t *testing.T) {
	var now atomic.Int64
	now.Store(1_000_000)
	srv := start(t, clienttest.WithClock(func() time.Time { return time.UnixMilli(now.Load()) }))
	c := srv.Client()
	now.Add(60_000)
	if resp, err := bump(t, c); err != nil || resp.Timestamp != 1_060_000 {
		t.Errorf("got %+v, %v", resp, err)
	}
	now.Add(time.Hour.Milliseconds())
	if health, err := c.Health(t.Context()); err != nil || health.Lifecycle != "TERMINATED" {
		t.Errorf("after an hour health is %+v, %v", health, err)
	}
}

func TestClose(t *testing.T) {
	srv := start(t)
	c := srv.Client(client.WithTimeout(50 * time.Millisecond))
	srv.Close()
	srv.Close()
	if _, err := bump(t, c); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("after the end a bump ends with %v", err)
	}
	if _, err := http.Get(srv.URL); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the end a connection ends with %v", err)
	}
	if got := srv.Version(shop); got != "1.4.2" {
		t.Errorf("the shop is at %s", got)
	}
}

// TestTestsEnd checks what ends a test, and that it is told why.
func TestTestsEnd(t *testing.T) {
	tests := map[string]struct {
		use  func(*clienttest.Server)
		want []string
	}{
		"no such entity": {func(srv *clienttest.Server) { srv.Version("nope") }, []string{`"nope"`}},
		"seeded twice":   {func(srv *clienttest.Server) { srv.Seed(entities()...) }, []string{"at revision 1"}},
		"a code that the registry answers": {
			func(srv *clienttest.Server) { srv.FailNext(1, client.CodeVersionConflict) }, []string{"VERSION_CONFLICT"},
		},
		"a client of no registry": {func(srv *clienttest.Server) { srv.Client(client.WithRegistry("-")) }, []string{`registry "-"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { checkEnds(t, true, test.use, test.want) })
	}
	t.Run("seeded with faults", func(t *testing.T) {
		checkEnds(t, false, func(srv *clienttest.Server) {
			broken := entities()
			broken[0].Type = "cart"
			srv.Seed(broken...)
		}, []string{"seeding", "entities[0].type"})
	})
	t.Run("seeded with an invalid registry", func(t *testing.T) {
		checkEnds(t, false, func(srv *clienttest.Server) { srv.Seed(entities()[0]) }, []string{"seeding", cart, shop})
	})
}

// checkEnds checks that use ends the test of its server, with a message that has the parts wanted.
func checkEnds(t *testing.T, seeded bool, use func(*clienttest.Server), want []string) {
	t.Helper()
	tb := &ended{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv := clienttest.New(tb)
		if seeded {
			srv.Seed(entities()...)
		}
		use(srv)
	}()
	<-done
	if tb.fatal == "" {
		t.Error("the test goes on")
	}
	for _, part := range want {
		if !strings.Contains(tb.fatal, part) {
			t.Errorf("the test ends with %q, which does not name %s", tb.fatal, part)
		}
	}
}

// ended is a test that outlives its end.
type ended struct {
	testing.TB
	fatal string
}

func (e *ended) Fatalf(format string, args ...any) {
	e.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
