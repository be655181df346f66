package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
)

// message is any message of a server, as it came.
type message map[string]any

func (m message) kind() string { s, _ := m["type"].(string); return s }

// socket is a WebSocket to a server under test.
type socket struct {
	t    *testing.T
	conn *websocket.Conn
}

// dial opens a WebSocket and takes its hello.
func (h *harness) dial(query string) (*socket, message) {
	h.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"tes-subproto-v1"}}
	conn, resp, err := d.Dial(strings.Replace(h.url, "http", "ws", 1)+"/version/ws"+query, nil)
	if err != nil {
		body, _ := io.ReadAll(resp.Body)
		h.t.Fatalf("%v: %s", err, body)
	}
	if conn.Subprotocol() != "tes-subproto-v1" || resp.Header.Get("Tes-Node") != "n1" {
		h.t.Errorf("the upgrade was answered %v", resp.Header)
	}
	h.t.Cleanup(func() { conn.Close() })
	s := &socket{h.t, conn}
	return s, s.next()
}

// next reads one message.
func (s *socket) next() message {
	s.t.Helper()
	s.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	kind, text, err := s.conn.ReadMessage()
	if err != nil {
		s.t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil || kind != websocket.TextMessage {
		s.t.Fatalf("a message of kind %d: %q", kind, text)
	}
	return m
}

// want reads messages up to one of a kind, which the others than heartbeats must not precede.
func (s *socket) want(kind string) message {
	s.t.Helper()
	for {
		if m := s.next(); m.kind() == kind {
			return m
		} else if m.kind() != "ping" && m.kind() != "bookmark" {
			s.t.Fatalf("got %v, want a message of type %s", m, kind)
		}
	}
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// wantClose reads up to the end of the connection, which must have this code.
func (s *socket) wantClose(code int) string {
	s.t.Helper()
	for {
		s.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, _, err := s.conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			if closed.Code != code {
				s.t.Errorf("the connection ended with %v, want code %d", closed, code)
			}
			return closed.Text
		} else if err != nil {
			s.t.Fatalf("the connection ended with %v, want code %d", err, code)
		}
	}
}

func (h *harness) bump(n int) {
	h.t.Helper()
	for range n {
		if r := h.post("/version/bump", `{"scope":"patch","entityId":"global:main","cascade":false}`); r.status != 200 {
			h.t.Fatal(r.body)
		}
	}
}

// TestWatch follows a registry from its first revision on, and from now on.
func TestWatch(t *testing.T) {
	h := start(t)
	h.bump(2)
	old, hello := h.dial("?since=0&receipts=true")
	want := message{
		"type": "hello", "connectionId": hello["connectionId"], "clusterId": clusterID, "registryId": defaultRegistry, "revision": 0.0,
		"node": "n1", "heartbeatMs": 30000.0, "threadId": "0x6001", "channel": "COMMAND_CHANNEL",
	}
	if diff := cmp.Diff(want, hello); diff != "" || hello["connectionId"] == "" {
		t.Errorf("hello (-want +got):\n%s", diff)
	}
	fresh, hello := h.dial("")
	if hello["revision"] != 3.0 {
		t.Errorf("hello is %v, want revision 3", hello)
	}
	h.bump(2)
	var events []client.Event
	for i := range 5 {
		raw, _ := json.Marshal(old.want("event"))
		var e client.Event
		if err := json.Unmarshal(raw, &e); err != nil || e.Revision != uint64(i+1) {
			t.Fatalf("event %d is %s, %v", i, raw, err)
		}
		events = append(events, e)
	}
	if _, err := (client.Verifier{Key: signingKey()}).VerifyHistory(events); err != nil {
		t.Error(err)
	}
	for revision := 4.0; revision <= 5; revision++ {
		if e := fresh.want("event"); e["revision"] != revision || e["payload"] != nil || e["kind"] != "bump" || e["hsl"] != "#9D4EDD" {
			t.Errorf("an event is %v, want revision %v", e, revision)
		}
	}
}

// TestWatchOfAnUpgradeOfTheRoot opens a WebSocket at /version/.
func TestWatchOfAnUpgradeOfTheRoot(t *testing.T) {
	h := start(t)
	d := websocket.Dialer{Subprotocols: []string{"other", "tes-subproto-v1"}}
	for _, path := range []string{"/version/", "/registries/" + defaultRegistry + "/version/", "/registries/" + defaultRegistry + "/version/ws"} {
		conn, _, err := d.Dial(strings.Replace(h.url, "http", "ws", 1)+path, nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		conn.Close()
	}
	if r := h.get("/version/"); r.status != 404 {
		t.Errorf("without an upgrade it answers %d", r.status)
	}
}

// TestWatchFilters checks what a filter lets through, and that bookmarks tell of the rest.
func TestWatchFilters(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Heartbeat = 20 * time.Millisecond })
	h.migrate("", example())
	h.bump(1)
	h.post("/version/bump", `{"scope":"patch","entityId":"component:shop","cascade":false}`)
	h.post("/version/bump", `{"scope":"minor","entityId":"global:main"}`)
	for query, want := range map[string][]float64{
		"?since=1&entity=global:*":              {2, 4},
		"?since=1&entity=*shop":                 {3, 4},
		"?since=1&type=global":                  {2, 4},
		"?since=1&entity=*shop&type=global":     {},
		"?since=1&type=component&entity=*:??op": {3, 4},
		"?since=3&entity=global:main":           {4},
	} {
		s, _ := h.dial(query)
		got := []float64{}
		for m := s.next(); ; m = s.next() {
			if m.kind() == "event" {
				got = append(got, m["revision"].(float64))
			}
			if m.kind() == "bookmark" && m["revision"] == 4.0 {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// TestWatchGaps begins watches where they cannot.
func TestWatchGaps(t *testing.T) {
	h := startEmpty(t, newFakeNode(3))
	h.migrate("", example())
	h.bump(600)
	h.node.Reset() // what is in memory is not history
	for query, want := range map[string]client.Code{
		"?since=0":                  client.CodeRevisionCompacted,
		"?since=602":                client.CodeRevisionAhead,
		"?since=601&cluster=0a0b0c": client.CodeClusterChanged,
	} {
		s, _ := h.dial(query)
		m := s.want("error")
		if m["code"] != string(want) || m["error"].(map[string]any)["code"] != string(want) {
			t.Errorf("%s: %v", query, m)
		}
		if oldest, _ := m["oldestRevision"].(float64); (oldest > 1) != (want == client.CodeRevisionCompacted) {
			t.Errorf("%s: the oldest revision is %v", query, oldest)
		}
		s.wantClose(4410)
		if r := h.get("/version/events" + query); r.status != 410 {
			t.Errorf("events%s answers %d %s", query, r.status, r.body)
		}
	}
}

// TestWatchWaits begins behind revisions that the node does not have, and that nobody can tell
// whether others do: it waits for them.
func TestWatchWaits(t *testing.T) {
	h := start(t)
	h.node.readErr = cluster.ErrNoLeader
	for _, since := range []string{"1000", "18446744073709551615"} {
		s, _ := h.dial("?since=" + since)
		s.send(`{"type":"ping"}`)
		s.want("pong")
	}
}

// TestMessages checks what each message of a caller is answered.
func TestMessages(t *testing.T) {
	h := start(t)
	s, _ := h.dial("")
	s.send(`{"type":"ping"}`)
	s.want("pong")
	s.send(`{"type":"pong"}`)
	s.send(`{"type":"refresh","requestId":"x"}`)
	refresh := s.want("refresh_response")
	if n := len(refresh["entities"].([]any)); n != 4 || refresh["revision"] != 1.0 || refresh["lifecycle"] != "RUNNING" || refresh["threadId"] != "0x6001" || refresh["channel"] != "COMMAND_CHANNEL" || refresh["hsl"] != "#9D4EDD" {
		t.Errorf("refresh is answered %v", refresh)
	}
	bump := func(text, kind string) message {
		t.Helper()
		s.send(text)
		var event, answer message
		for i := 0; answer == nil || kind == "bump_response" && event == nil && i < 2; i++ {
			switch m := s.next(); m.kind() {
			case kind:
				answer = m
			case "event":
				event = m
			default:
				t.Fatalf("%s: %v", text, m)
			}
		}
		return answer
	}
	answer := bump(`{"type":"bump","scope":"minor","entityId":"global:main","cascade":false,"idempotencyKey":"k","requestId":"q1"}`, "bump_response")
	data := answer["data"].(map[string]any)
	if answer["requestId"] != "q1" || answer["status"] != "BUMPED" || data["revision"] != 2.0 || data["signature"] == "" || data["success"] != true {
		t.Errorf("the bump is answered %v", answer)
	}
	if r := h.post("/version/bump", `{"scope":"minor","entityId":"global:main","cascade":false}`, "Idempotency-Key: k"); r.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same bump over HTTP is another: %s", r.body)
	}
	s.send(`{"type":"bump","scope":"minor","entityId":"global:main","dryRun":true}`)
	if dry := s.want("bump_response"); dry["data"].(map[string]any)["dryRun"] != true || dry["requestId"] != nil {
		t.Errorf("the dry run is answered %v", dry)
	}
	for text, want := range map[string]string{
		`{"type":"bump","scope":"minor","entityId":"nope","requestId":"q"}`:              "ENTITY_NOT_FOUND",
		`{"type":"bump","scope":"huge","requestId":"q"}`:                                 "INVALID_REQUEST scope",
		`{"type":"bump","scope":"minor","expectedVersion":"9","entityId":"global:main"}`: "VERSION_CONFLICT expectedVersion",
		`{"type":"bump","scope":"minor","idempotencyKey":"","requestId":"q"}`:            "INVALID_REQUEST idempotencyKey",
		`{"type":"bump","scope":"patch","entityId":"api:full","requestId":"q"}`:          "VERSION_OVERFLOW",
		`{"type":"refresh","scope":"minor"}`:                                             "INVALID_REQUEST scope",
		`{"type":"dance","requestId":"q"}`:                                               "INVALID_REQUEST type",
		`{"type":"ping","type":"ping"}`:                                                  "INVALID_REQUEST type",
		`[]`:                                                                             "INVALID_REQUEST ",
		`{"type":"ping"`:                                                                 "INVALID_REQUEST ",
	} {
		s.send(text)
		m := s.want("error")
		e := m["error"].(map[string]any)
		got := e["code"].(string)
		if d, ok := e["details"].([]any); ok && strings.Contains(want, " ") {
			got += " " + d[0].(map[string]any)["path"].(string)
		}
		if got != want || m["status"] != "ERROR" || strings.Contains(text, `"q"`) != (m["requestId"] == "q") {
			t.Errorf("%s is answered %v, want %s", text, m, want)
		}
		if scope := e["context"].(map[string]any)["scope"]; scope != "WEBSOCKET" {
			t.Errorf("%s: the scope is %v", text, scope)
		}
	}
}

// TestTooManyBadMessages ends a connection by what it sends.
func TestTooManyBadMessages(t *testing.T) {
	h := start(t)
	bystander, _ := h.dial("")
	for name, c := range map[string]struct {
		send func(*socket)
		code int
	}{
		"ten bad ones": {func(s *socket) {
			for range 10 {
				s.send("{")
			}
		}, websocket.ClosePolicyViolation},
		"binary":    {func(s *socket) { s.conn.WriteMessage(websocket.BinaryMessage, []byte("{}")) }, websocket.CloseUnsupportedData},
		"not UTF-8": {func(s *socket) { s.send("{\"type\":\"\xff\"}") }, websocket.CloseInvalidFramePayloadData},
		"too large": {func(s *socket) { s.send(`{"type":"` + strings.Repeat("x", 64<<10) + `"}`) }, websocket.CloseMessageTooBig},
		"a goodbye": {func(s *socket) { s.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "")) }, websocket.CloseNormalClosure},
		"a deep bomb": {func(s *socket) {
			for range 10 {
				s.send(strings.Repeat("[", 60<<10))
			}
		}, websocket.ClosePolicyViolation},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := h.dial("")
			s.t = t
			c.send(s)
			s.wantClose(c.code)
		})
	}
	h.bump(1)
	if e := bystander.want("event"); e["revision"] != 2.0 {
		t.Errorf("another watcher got %v", e)
	}
}

// TestBadUpgrades holds upgrades that are refused to what they are answered.
func TestBadUpgrades(t *testing.T) {
	h := start(t)
	good := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: tes-subproto-v1"}
	with := func(i int, header string) []string {
		all := append([]string(nil), good...)
		all[i] = header
		return all
	}
	for name, c := range map[string]struct {
		path    string
		headers []string
		status  int
		code    client.Code
	}{
		"no upgrade":           {"/version/ws", nil, 400, client.CodeInvalidRequest},
		"no sub-protocol":      {"/version/ws", good[:4], 400, client.CodeInvalidRequest},
		"another sub-protocol": {"/version/ws", with(4, "Sec-WebSocket-Protocol: graphql-ws"), 400, client.CodeInvalidRequest},
		"another version":      {"/version/ws", with(2, "Sec-WebSocket-Version: 8"), 400, client.CodeInvalidRequest},
		"no key":               {"/version/ws", with(3, "X-Other: 1"), 400, client.CodeInvalidRequest},
		"another origin":       {"/version/ws", append(with(0, good[0]), "Origin: http://evil.example"), 403, client.CodeForbidden},
		"since no number":      {"/version/ws?since=x", good, 400, client.CodeInvalidRequest},
		"since negative":       {"/version/ws?since=-1", good, 400, client.CodeInvalidRequest},
		"a long glob":          {"/version/ws?entity=" + strings.Repeat("*a", 129), good, 400, client.CodeInvalidRequest},
		"no such type":         {"/version/ws?type=car", good, 400, client.CodeInvalidRequest},
		"unknown parameter":    {"/version/ws?from=1", good, 400, client.CodeInvalidRequest},
		"no such registry":     {"/registries/nope/version/ws", good, 404, client.CodeRegistryNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			r := h.do("GET", c.path, "", c.headers...)
			r.wantFailure(c.status, c.code)
			if name == "another version" && r.header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("the headers are %v", r.header)
			}
		})
	}
}

// TestConnectionLimit fills the node, and makes room again.
func TestConnectionLimit(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.MaxConnections = 2 })
	h.migrate("", example())
	s, _ := h.dial("")
	h.dial("")
	d := websocket.Dialer{Subprotocols: []string{"tes-subproto-v1"}}
	_, resp, err := d.Dial(strings.Replace(h.url, "http", "ws", 1)+"/version/ws", nil)
	if err == nil || resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("a third connection: %v", err)
	}
	if r := h.get("/version/events"); r.status != 503 {
		t.Errorf("a stream of events answers %d", r.status)
	}
	status := decodeAs[client.ClusterStatus](h.get("/cluster"))
	if len(status.Connections) != 2 || status.Connections[0].RegistryID != defaultRegistry || status.Connections[0].ConnectedAt == 0 {
		t.Errorf("the connections are %+v", status.Connections)
	}
	s.conn.Close()
	wait(t, "there is no room again", func() bool { return len(decodeAs[client.ClusterStatus](h.get("/cluster")).Connections) == 1 })
	h.dial("")
}

// wait waits until the condition holds.
func wait(t *testing.T, what string, holds func() bool) {
	t.Helper()
	end := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-end:
			t.Fatal(what)
		}
	}
}

// TestSlowWatcher has a watcher that reads nothing: the others notice nothing, and it learns
// up to where it was told of everything.
func TestSlowWatcher(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Patience = time.Second })
	h.migrate("", example())
	slow, _ := h.dial("")
	other, _ := h.dial("")
	reason := strings.Repeat("x", 1000)
	given := func() bool {
		for _, line := range h.log.take() {
			if line.message == "ws_error" {
				return true
			}
		}
		return false
	}
	for !given() {
		for range 500 {
			h.node.Apply(fsm.Entry{Stamp: firstStamp + 60_000, Commands: []fsm.Command{{Registry: defaultRegistry, Op: fsm.Bump{
				Scope: fsm.Patch, EntityID: "global:main", Reason: reason}}}})
			other.want("event")
		}
	}
	// Nobody waits for it any more, and still it learns why.
	wait(t, "the slow one is still there", func() bool { return len(decodeAs[client.ClusterStatus](h.get("/cluster")).Connections) == 1 })
	last := 0.0
	for {
		slow.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, text, err := slow.conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			var sent float64
			fmt.Sscanf(closed.Text, "too slow; everything was sent up to revision %g", &sent)
			if closed.Code != 4408 || sent == 0 || sent > last {
				t.Errorf("after revision %v the connection ended with %v", last, err)
			}
			break
		} else if err != nil {
			t.Fatal(err)
		}
		var m message
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		if r, ok := m["revision"].(float64); ok && m.kind() == "event" {
			if last > 0 && r != last+1 {
				t.Fatalf("revision %v came after %v", r, last)
			}
			last = r
		}
	}
}

// TestSilentWatcher drops a connection whose other side has gone without a word, and keeps
// one that answers heartbeats.
func TestSilentWatcher(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Heartbeat = 50 * time.Millisecond })
	h.migrate("", example())
	alive, _ := h.dial("")
	silent, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	fmt.Fprintf(silent, "GET /version/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tes-subproto-v1\r\n\r\n")
	count := func() int { return len(decodeAs[client.ClusterStatus](h.get("/cluster")).Connections) }
	go func() {
		for { // to read is to answer pings
			if _, _, err := alive.conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	wait(t, "the silent one never came", func() bool { return count() == 2 })
	wait(t, "the silent one is still there", func() bool { return count() == 1 })
	<-time.After(500 * time.Millisecond) // ten heartbeats
	if count() != 1 {
		t.Error("the one that answers is gone")
	}
}

// TestDrainOfWatchers ends all connections when the server stops.
func TestDrainOfWatchers(t *testing.T) {
	h := start(t)
	s, _ := h.dial("")
	stream, err := http.Get(h.url + "/version/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	h.server.Drain()
	closed := make(chan struct{})
	go func() { defer close(closed); h.server.Close() }()
	s.wantClose(websocket.CloseServiceRestart)
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	<-closed
	if r := h.get("/version/events"); r.status != 503 {
		t.Errorf("afterwards it answers %d", r.status)
	}
}

// TestEventStream follows a registry by server-sent events.
func TestEventStream(t *testing.T) {
	h := startWith(t, newFakeNode(0), func(cfg *httpapi.Config) { cfg.Heartbeat = 20 * time.Millisecond })
	h.migrate("", example())
	h.bump(2)
	read := func(query string, header string, events int) string {
		t.Helper()
		req, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+"/version/events"+query, nil)
		if header != "" {
			req.Header.Set("Last-Event-ID", header)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.Header.Get("Content-Type") != "text/event-stream" || resp.StatusCode != 200 {
			t.Fatalf("%s: %v", resp.Status, resp.Header)
		}
		var got strings.Builder
		buf := make([]byte, 4096)
		for strings.Count(got.String(), "data: ") < events {
			n, err := resp.Body.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(buf[:n])
		}
		return got.String()
	}
	// The place to come back to is told before anything has happened.
	if got := read("?since=1", "", 2); !strings.HasPrefix(got, ": ") ||
		!strings.Contains(got, "\nid: 1\n\nid: 2\nevent: event\ndata: {\"type\":\"event\",\"revision\":2,") || !strings.Contains(got, "\n\nid: 3\nevent: event\n") {
		t.Errorf("got %s", got)
	}
	if got := read("?since=0", "2", 1); !strings.Contains(got, "\nid: 2\n\nid: 3\n") {
		t.Errorf("behind 2 came %s", got)
	}
	if got := read("?entity=nothing", "", 1); !strings.Contains(got, "id: 3\nevent: bookmark\ndata: {\"type\":\"bookmark\",\"revision\":3}\n\n") {
		t.Errorf("with a filter came %s", got)
	}
	if r := h.do("HEAD", "/version/events", ""); r.status != 200 {
		t.Errorf("HEAD answers %d", r.status)
	}
	if r := h.get("/version/events", "Last-Event-ID: x"); r.status != 400 {
		t.Errorf("a bad Last-Event-ID answers %d", r.status)
	}
}
