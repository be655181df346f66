package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/client/clienttest"
)

// shop is a registry of one entity.
func shop(t *testing.T) (*clienttest.Server, func(int)) {
	t.Helper()
	srv := clienttest.New(t)
	srv.Seed(client.Entity{ID: "global:shop", Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: "Shop"})
	c := srv.Client()
	return srv, func(n int) {
		t.Helper()
		for range n {
			if _, err := c.Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: "global:shop"}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWatch is told of what was and of what comes, verified, and stops when it likes.
func TestWatch(t *testing.T) {
	srv, bump := shop(t)
	bump(2)
	var progress atomic.Uint64
	next := uint64(1)
	for e, err := range srv.Client().Watch(t.Context(), client.WatchOptions{
		Verifier: &client.Verifier{}, Progress: func(revision uint64) { progress.Store(revision) },
	}) {
		if err != nil || e.Revision != next || e.Payload == "" {
			t.Fatalf("got %+v, %v; want revision %d", e, err, next)
		}
		if next == 3 {
			bump(2)
		}
		if next++; next > 5 {
			break
		}
	}
	if progress.Load() != 4 { // of the last one nobody has said that he has it
		t.Errorf("progress is %d", progress.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // so that something comes, whenever the watch begins
		for c := srv.Client(); ctx.Err() == nil; {
			c.Bump(ctx, client.BumpRequest{Scope: client.Minor, EntityID: "global:shop"})
		}
	}()
	last, told := uint64(5), 0
	for e, err := range srv.Client().Watch(ctx, client.WatchOptions{Now: true, Trouble: func(err error) { t.Error(err) }}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the watch ended with %v", err)
			}
			break
		}
		if told++; e.Revision <= last || told > 1 && e.Revision != last+1 {
			t.Errorf("behind revision %d came revision %d", last, e.Revision)
		}
		if last = e.Revision; told == 3 {
			cancel()
		}
	}
}

// TestWatchFinds is refused or cannot go on, and says so.
func TestWatchEnds(t *testing.T) {
	srv, _ := shop(t)
	end := func(c *client.Client, o client.WatchOptions) error {
		for _, err := range c.Watch(t.Context(), o) {
			return err
		}
		return nil
	}
	gap, ok := errors.AsType[*client.GapError](end(srv.Client(), client.WatchOptions{Since: 9}))
	if !ok || gap.Code != client.CodeRevisionAhead || gap.Revision != 9 || !errors.Is(gap, client.ErrGap) {
		t.Errorf("behind what does not exist: %v", gap)
	}
	if err := end(srv.Client(), client.WatchOptions{ClusterID: "another"}); !errors.Is(err, client.ErrGap) {
		t.Errorf("of another cluster: %v", err)
	}
	if err := end(srv.Client(), client.WatchOptions{Verifier: &client.Verifier{Key: []byte("not the key")}}); !errors.Is(err, client.ErrVerification) {
		t.Errorf("with another key: %v", err)
	}
	if err := end(srv.Client(client.WithRegistry("nope")), client.WatchOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("of a registry that is not there: %v", err)
	}
	if err := end(srv.Client(), client.WatchOptions{Type: "car"}); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("of a type that is none: %v", err)
	}
}

// TestWatchOfAnotherRegistry has a node tell of another registry than was asked for, all of it well signed.
func TestWatchOfAnotherRegistry(t *testing.T) {
	srv, _ := shop(t)
	target, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	liar := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.URL.Path = "/version/ws"
	}})
	defer liar.Close()
	c, err := client.New([]string{liar.URL}, client.WithRegistry("other"))
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Watch(t.Context(), client.WatchOptions{Verifier: &client.Verifier{}}) {
		if !errors.Is(err, client.ErrVerification) || !strings.Contains(err.Error(), "registry") {
			t.Errorf("got %+v, %v", e, err)
		}
		break
	}
}

// TestWatchGoesOn loses connections in every way, and misses nothing.
func TestWatchGoesOn(t *testing.T) {
	srv, bump := shop(t)
	bump(19)
	// A node in between passes a few messages on, and then breaks off.
	var connections atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := connections.Add(1)
		if n%4 == 2 {
			http.Error(w, "no leader", http.StatusServiceUnavailable)
			return
		}
		up, _, err := (&websocket.Dialer{Subprotocols: []string{"tes-subproto-v1"}}).Dial(strings.Replace(srv.URL, "http", "ws", 1)+r.URL.String(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer up.Close()
		down, err := (&websocket.Upgrader{Subprotocols: []string{"tes-subproto-v1"}}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer down.Close()
		for range 4 {
			kind, text, err := up.ReadMessage()
			if err != nil || down.WriteMessage(kind, text) != nil {
				return
			}
		}
		if n%4 == 3 {
			down.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, ""), time.Now().Add(time.Second))
		}
	}))
	defer proxy.Close()
	dead := httptest.NewServer(nil)
	dead.Close()
	c, err := client.New([]string{proxy.URL, dead.URL})
	if err != nil {
		t.Fatal(err)
	}
	var troubles []string
	next := uint64(1)
	for e, err := range c.Watch(t.Context(), client.WatchOptions{
		Verifier: &client.Verifier{}, Trouble: func(err error) { troubles = append(troubles, err.Error()) },
	}) {
		if err != nil || e.Revision != next {
			t.Fatalf("got %+v, %v; want revision %d", e, err, next)
		}
		if next++; next > 20 {
			break
		}
	}
	all := strings.Join(troubles, "\n")
	for _, want := range []string{"connection refused", "503", strconv.Itoa(websocket.CloseServiceRestart), dead.URL, proxy.URL} {
		if !strings.Contains(all, want) {
			t.Errorf("the troubles do not tell of %s:\n%s", want, all)
		}
	}
}
