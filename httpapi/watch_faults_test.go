package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
)

// rawWatch opens a watch on a connection of its own and reads the head of the answer, and nothing more. The
// caller's system takes little for it.
func (h *harness) rawWatch(path string, headers ...string) net.Conn {
	h.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { conn.Close() })
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", path, strings.Join(headers, "\r\n"))
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil)
	if err != nil || resp.StatusCode != 101 && resp.StatusCode != 200 {
		h.t.Fatalf("%s: %v, %v", path, resp, err)
	}
	return conn
}

// upgradeHeaders are those of an upgrade.
func upgradeHeaders() []string {
	return []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: tes-subproto-v1"}
}

// clog makes bumps until the connections have more to be written than they take.
func (h *harness) clog() {
	h.t.Helper()
	reason := strings.Repeat("x", 1000)
	for range 6000 {
		h.node.Apply(fsm.Entry{Stamp: firstStamp + 60_000, Commands: []fsm.Command{{Registry: defaultRegistry, Op: fsm.Bump{
			Scope: fsm.Patch, EntityID: "global:main", Reason: reason}}}})
	}
}

func (h *harness) connections() int {
	return len(decodeAs[client.ClusterStatus](h.get("/cluster")).Connections)
}

// TestStuckWatchersDoNotHoldTheShutdown has callers that read nothing: the server stops all the same.
func TestStuckWatchersDoNotHoldTheShutdown(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Patience = time.Minute })
	h.migrate("", example())
	for range 5 {
		h.rawWatch("/version/ws?since=0&receipts=true", upgradeHeaders()...)
		h.rawWatch("/version/events?since=0&receipts=true")
	}
	h.clog()
	wait(t, "not all are there", func() bool { return h.connections() == 10 })
	h.server.Drain()
	closed := make(chan struct{})
	go func() { defer close(closed); h.server.Close() }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second): // two are enough
		t.Error("callers that read nothing hold the shutdown")
	}
}

// TestPingFlood has a caller that sends pings and takes hardly any pongs: they do not fill the memory.
func TestPingFlood(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Patience = time.Minute })
	h.migrate("", example())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	conn := h.rawWatch("/version/ws", upgradeHeaders()...)
	go func() { // if it took none at all, its own system might stop to hear that what it sends arrives
		for {
			if _, err := io.CopyN(io.Discard, conn, 1<<10); err != nil {
				return
			}
			<-time.After(time.Millisecond)
		}
	}()
	ping := append([]byte{0x89, 0x80 | 125, 0, 0, 0, 0}, make([]byte, 125)...) // masked with zeros
	flood := []byte(strings.Repeat(string(ping), 500))
	const total = 64 << 20
	for sent := 0; sent < total; sent += len(flood) {
		conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Write(flood); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d MiB of pings took %d MiB of memory", total>>20, grown>>20)
	}
}

// TestTooLargeMessageIsTold has a caller in the middle of sending far too much: it learns why the connection
// ends, which a reset would keep from it.
func TestTooLargeMessageIsTold(t *testing.T) {
	h := start(t)
	for range 20 {
		s, _ := h.dial("")
		s.conn.WriteMessage(websocket.TextMessage, make([]byte, 1<<20)) // fails, or not
		s.wantClose(websocket.CloseMessageTooBig)
	}
}

// TestWatchesLeaveANodeThatCannotServe checks that the watchers of a node that was removed, or hears of no
// leader for long, are told to go on elsewhere.
func TestWatchesLeaveANodeThatCannotServe(t *testing.T) {
	for _, name := range []string{"member", "leader"} {
		t.Run(name, func(t *testing.T) {
			h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Heartbeat = 50 * time.Millisecond })
			h.migrate("", example())
			s, _ := h.dial("")
			stream, err := http.Get(h.url + "/version/events")
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Body.Close()
			h.node.set(func() { h.node.checks = []cluster.Check{{Name: name, Detail: "for this test"}} })
			s.wantClose(websocket.CloseTryAgainLater)
			if _, err := io.ReadAll(stream.Body); err != nil {
				t.Errorf("the stream ended with %v", err)
			}
		})
	}
}

// TestWatchAheadIsTold begins behind a revision that does not exist, while nobody can tell. It is told once
// somebody can.
func TestWatchAheadIsTold(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Heartbeat = 50 * time.Millisecond })
	h.migrate("", example())
	h.node.set(func() { h.node.readErr = cluster.ErrNoLeader })
	s, hello := h.dial("?since=1000")
	if hello["revision"] != 1000.0 {
		t.Errorf("got %v", hello)
	}
	stream, err := http.Get(h.url + "/version/events?since=1000")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	h.node.set(func() { h.node.readErr = nil })
	if m := s.want("error"); m["code"] != "REVISION_AHEAD" {
		t.Errorf("got %v", m)
	}
	s.wantClose(4410)
	if text, err := io.ReadAll(stream.Body); err != nil || !strings.Contains(string(text), "event: error\ndata: {\"type\":\"error\"") {
		t.Errorf("the stream was %s, and ended with %v", text, err)
	}
}

// TestFiltersGoByTheTypeAtTheTime watches entities of a type: what an entity was when it moved counts, also
// when it has become something else, or is gone.
func TestFiltersGoByTheTypeAtTheTime(t *testing.T) {
	h := start(t)
	entity := func(id, kind, version string) string {
		return fmt.Sprintf(`{"id":%q,"type":%q,%s"updateStrategy":"independent","files":[],"displayInUi":false,"displayName":"X"}`, id, kind, version)
	}
	put := func(id, kind, version string) {
		t.Helper()
		if r := h.do("PUT", "/version/entities/"+id, entity(id, kind, version), "Content-Type: application/json"); r.status != 200 {
			t.Fatal(r.body)
		}
	}
	put("x", "component", `"currentVersion":"1.0.0",`) // 2
	put("y", "component", `"currentVersion":"1.0.0",`) // 3
	h.post("/version/bump", `{"scope":"patch","entityId":"x"}`)
	put("x", "documentation", "") // 5
	h.post("/version/bump", `{"scope":"patch","entityId":"x"}`)
	if r := h.do("DELETE", "/version/entities/y", ""); r.status != 200 { // 7
		t.Fatal(r.body)
	}
	h.node.Reset() // so that all comes from the history
	for kind, want := range map[string][]float64{"component": {2, 3, 4, 7}, "documentation": {5, 6}} {
		s, _ := h.dial("?since=1&type=" + kind)
		for _, revision := range want {
			if m := s.want("event"); m["revision"] != revision {
				t.Errorf("of %s came %v, want %v", kind, m["revision"], revision)
			}
		}
	}
}

// TestOffersOfSubprotocols offers the sub-protocol in each way that RFC 6455 allows.
func TestOffersOfSubprotocols(t *testing.T) {
	h := start(t)
	for _, offer := range []string{"a, tes-subproto-v1", "a\r\nSec-WebSocket-Protocol: tes-subproto-v1", "tes-subproto-v1\r\nSec-WebSocket-Protocol: b,c"} {
		h.rawWatch("/version/ws", append(upgradeHeaders()[:4], "Sec-WebSocket-Protocol: "+offer)...)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /version/ws HTTP/1.0\r\nHost: x\r\n%s\r\n\r\n", strings.Join(upgradeHeaders(), "\r\n"))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 400 {
		t.Errorf("an upgrade of HTTP/1.0 is answered %v, %v", resp, err)
	}
}

// TestCrowd has ten thousand callers at a node that holds five: they are told so, cost no read index round,
// and those who are there notice nothing.
func TestCrowd(t *testing.T) {
	const most, crowd, workers = 5, 10_000, 20
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.MaxConnections = most })
	h.migrate("", example())
	var inside []*socket
	for range most {
		s, _ := h.dial("")
		inside = append(inside, s)
	}
	h.node.set(func() { h.node.reads = nil })
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range crowd / workers {
				req, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+"/version/ws", nil)
				for _, line := range upgradeHeaders() {
					name, value, _ := strings.Cut(line, ": ")
					req.Header.Set(name, value)
				}
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
					t.Errorf("one too many is answered %d %v", resp.StatusCode, resp.Header)
				}
			}
		})
	}
	const bumps = 20
	h.bump(bumps)
	for _, s := range inside {
		for i := range bumps {
			if e := s.want("event"); e["revision"] != float64(2+i) {
				t.Errorf("somebody inside got %v", e)
			}
		}
	}
	group.Wait()
	h.node.set(func() {
		if n := len(h.node.reads); n > 0 {
			t.Errorf("those who were not let in cost %d reads", n)
		}
	})
}
