package client_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/memnet"
)

// TestWatchIsNoStorm watches nodes that greet and then end each connection at once. The watch
// goes on, but not as fast as it can.
func TestWatchIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		defer n.Close()
		l, err := n.Listen("n1:80")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var connections atomic.Int64
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if connections.Add(1) > 10_000 { // or this would never end
				cancel()
			}
			ws, err := (&websocket.Upgrader{Subprotocols: []string{"tes-subproto-v1"}}).Upgrade(w, r, nil)
			if err != nil {
				return
			}
			ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","clusterId":"c","revision":0,"heartbeatMs":30000}`))
			ws.Close()
		})}
		go server.Serve(l)
		defer server.Close()
		transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return n.Dial(ctx, "user", address)
		}}
		c, err := client.New([]string{"http://n1:80", "http://n1:80/", "http://n1:80//"}, client.WithHTTPClient(&http.Client{Transport: transport}))
		if err != nil {
			t.Fatal(err)
		}
		for range c.Watch(ctx, client.WatchOptions{}) {
		}
		if n := connections.Load(); n < 60 || n > 1000 {
			t.Errorf("%d connections in a minute, want a few each second", n)
		}
	})
}
