package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
)

// message is what all messages of a server have that matter here.
type message struct {
	client.Event
	Type           string            `json:"type"`
	ClusterID      string            `json:"clusterId"`
	OldestRevision uint64            `json:"oldestRevision"`
	Error          *client.ErrorBody `json:"error"`
}

// query is what a watch asks for.
func (n *watcher) query(at start) string {
	q := url.Values{}
	if !at.now {
		q.Set("since", strconv.FormatUint(at.since, 10))
	}
	f := n.rec.stream.Filter
	if f.Entity != "" {
		q.Set("entity", f.Entity)
	}
	if f.Type != "" {
		q.Set("type", f.Type)
	}
	if n.receipts {
		q.Set("receipts", "true")
	}
	return "?" + q.Encode()
}

// take records a message. It reports whether more may follow.
func (n *watcher) take(ctx context.Context, text []byte) bool {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		n.w.Fail("%s was told what cannot be read, %q: %w", n.name, text, err)
		return false
	}
	switch m.Type {
	case "hello":
		n.rec.hello(m.Revision, m.ClusterID)
	case "event":
		n.rec.event(&m.Event)
		n.dawdle(ctx)
	case "bookmark":
		n.rec.bookmark(m.Revision)
	case "error":
		if m.Error == nil {
			n.w.Fail("%s was told of an error without a body: %s", n.name, text)
			return false
		}
		n.refused(ctx, m.Error, m.OldestRevision)
		return false
	}
	return true
}

// refused records a gap; other refusals are the node's business.
func (n *watcher) refused(ctx context.Context, e *client.ErrorBody, oldest uint64) {
	switch e.Code {
	case client.CodeRevisionCompacted, client.CodeRevisionAhead, client.CodeClusterChanged:
		n.rec.gone(ctx, e.Code, oldest)
	default:
		n.w.Count("refused "+string(e.Code), 1)
	}
}

// silence is how long a watcher waits for a sign of life.
func (n *watcher) silence() time.Duration { return 5 * n.w.Heartbeat / 2 }

// webSocket watches by a WebSocket of its own.
func (n *watcher) webSocket(ctx context.Context, at start) {
	node := n.w.Endpoints[n.rng.IntN(len(n.w.Endpoints))]
	n.rec.connect(node.ID, at)
	why := "cannot connect"
	defer func() { n.rec.disconnect(why) }()
	d := websocket.Dialer{NetDialContext: n.transport.DialContext, HandshakeTimeout: 5 * time.Second, Subprotocols: []string{"tes-subproto-v1"}}
	ws, resp, err := d.DialContext(ctx, strings.Replace(node.URL, "http", "ws", 1)+"/version/ws"+n.query(at), nil)
	if err != nil {
		if resp != nil {
			text, _ := io.ReadAll(resp.Body) // what there is of it
			n.answered(ctx, resp.StatusCode, text)
		}
		return
	}
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	alive := func() { ws.SetReadDeadline(time.Now().Add(n.silence())) }
	pong := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		alive()
		return pong(data)
	})
	for {
		alive()
		_, text, err := ws.ReadMessage()
		if err != nil {
			why = err.Error()
			if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
				n.w.Count("closed with "+strconv.Itoa(closed.Code), 1)
			}
			return
		}
		if !n.take(ctx, text) {
			why = "the watch was ended"
			return
		}
	}
}

// answered records an answer that is none to a watch.
func (n *watcher) answered(ctx context.Context, status int, text []byte) {
	var refusal client.ErrorResponse
	if err := json.Unmarshal(text, &refusal); err != nil || status < 400 {
		n.w.Count("refused "+strconv.Itoa(status), 1)
		return
	}
	if status < 500 && status != http.StatusGone && refusal.Error.Code != client.CodeRevisionAhead && refusal.Error.Code != client.CodeClusterChanged {
		n.w.Fail("%s was refused with %d: %s", n.name, status, text)
	}
	n.refused(ctx, &refusal.Error, 0)
}

// eventStream watches by server-sent events.
func (n *watcher) eventStream(ctx context.Context, at start) {
	node := n.w.Endpoints[n.rng.IntN(len(n.w.Endpoints))]
	n.rec.connect(node.ID, at)
	why := "cannot connect"
	defer func() { n.rec.disconnect(why) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(n.silence(), cancel)
	defer quiet.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, node.URL+"/version/events"+n.query(at), nil)
	if err != nil {
		n.w.Fail("%s: %w", n.name, err)
		return
	}
	if !at.now && n.rng.IntN(2) == 0 { // as a browser does it
		req.Header.Set("Last-Event-ID", strconv.FormatUint(at.since, 10))
		req.URL.RawQuery = strings.TrimPrefix(n.query(start{now: true}), "?")
	}
	resp, err := n.transport.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body) // what there is of it
		n.answered(ctx, resp.StatusCode, text)
		return
	}
	if revision, err := strconv.ParseUint(resp.Header.Get("Tes-Revision"), 10, 64); err == nil {
		n.rec.hello(revision, resp.Header.Get("Tes-Cluster"))
	} else {
		n.w.Fail("%s was not told where the events begin: %w", n.name, err)
	}
	why = n.readStream(ctx, resp.Body, quiet)
}

// readStream reads server-sent events until they end, and returns why they did.
func (n *watcher) readStream(ctx context.Context, body io.Reader, quiet *time.Timer) string {
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // what came of the line is of no use
			return err.Error()
		}
		quiet.Reset(n.silence())
		if text, ok := strings.CutPrefix(line, "data: "); ok && !n.take(ctx, []byte(text)) {
			return "the watch was ended"
		}
	}
}
