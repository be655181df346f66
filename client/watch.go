package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// subprotocol is what a WebSocket of tesd speaks.
const subprotocol = "tes-subproto-v1"

// WatchOptions say what a [Client.Watch] is told of.
type WatchOptions struct {
	Since  uint64 // begin behind this revision; 0 for the whole history
	Now    bool   // begin with what comes from now on, instead of behind Since
	Entity string // only what moved an entity whose id matches: * is any characters, ? is one; "" for all
	Type   string // only what moved an entity of this type; "" for all

	// ClusterID is the cluster that Since is of. Without it the watch takes the cluster that
	// it finds first; either way it ends if it finds another one later.
	ClusterID string

	// Verifier checks each event, and unless some are left out their chain, before it is given. Nil for no
	// check. With it events have Payload and Hash.
	Verifier *Verifier

	// Progress is called, if it is not nil, with a revision up to which everything was given: after events,
	// and now and then when some are left out. A watch that begins behind it misses nothing.
	Progress func(revision uint64)

	// Trouble is called, if it is not nil, with why a connection was lost or could not be made. The watch
	// goes on.
	Trouble func(error)
}

// ErrGap is what every [*GapError] is, for errors.Is.
var ErrGap = errors.New("the watch cannot go on without a gap")

// A GapError says that a watch cannot be told of everything behind a revision: read the registry anew, and
// watch behind its revision.
type GapError struct {
	Code           Code   // [CodeRevisionCompacted], [CodeRevisionAhead] or [CodeClusterChanged]
	Message        string // of the server
	Revision       uint64 // behind which the watch wanted to go on
	OldestRevision uint64 // that is kept, of [CodeRevisionCompacted]
}

// Error names the revision and the reason.
func (e *GapError) Error() string {
	return fmt.Sprintf("watching behind revision %d: %s: %s", e.Revision, e.Code, e.Message)
}

// Is tells whether target is [ErrGap].
func (e *GapError) Is(target error) bool { return target == ErrGap }

// Watch gives the registry's transactions as they commit: each once, in order, none missing, whatever
// happens to connections and nodes meanwhile. When it loses a connection it goes on at another endpoint,
// behind the last transaction that it gave.
//
// It ends with an error, which is given last: that of the context; a [*GapError], if the cluster cannot tell
// of everything any more; a [*VerificationError]; or an [*Error], if a node refuses the watch for good.
// That nodes cannot be reached does not end it.
func (c *Client) Watch(ctx context.Context, o WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watcher{c: c, o: o, after: o.Since, cluster: o.ClusterID, at: int(c.good.Load())}
		if c.registry != DefaultRegistry { // which may have another id
			w.registry = c.registry
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		if err := w.run(ctx, yield); err != nil && !errors.Is(err, errEnough) {
			yield(Event{}, err)
		}
	}
}

// errEnough says that the caller wants no more events.
var errEnough = errors.New("enough")

// watcher is the state of one watch.
type watcher struct {
	c        *Client
	o        WatchOptions
	begun    bool   // the place to begin at is known
	after    uint64 // up to which everything was given
	cluster  string
	chain    Verified // of the events so far
	registry string   // that all of them must be of; "" if the first says it
	at       int      // the endpoint
	failed   int      // attempts since one brought more than a hello
}

// run watches by one connection after the other until something ends the watch.
func (w *watcher) run(ctx context.Context, yield func(Event, error) bool) error {
	for {
		err := w.connect(ctx, yield)
		if final, ok := errors.AsType[*lost](err); !ok {
			return err
		} else if ctx.Err() != nil {
			return ctx.Err()
		} else if w.o.Trouble != nil {
			w.o.Trouble(final.err)
		}
		w.failed++
		w.at = (w.at + 1) % len(w.c.endpoints)
		wait := time.Duration(0)
		if n := len(w.c.endpoints); w.failed%n == 0 {
			wait = backoff(w.failed / n)
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// lost is an error after which another connection may fare better.
type lost struct{ err error }

// Error says what happened to the connection.
func (l *lost) Error() string { return l.err.Error() }

// Unwrap gives what the error comes from.
func (l *lost) Unwrap() error { return l.err }

// connect watches by one connection.
func (w *watcher) connect(ctx context.Context, yield func(Event, error) bool) error {
	ws, err := w.dial(ctx)
	if err != nil {
		return err
	}
	defer func() {
		goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second)) // if it still can be said
		ws.Close()
	}()
	stop := context.AfterFunc(ctx, func() { ws.Close() })
	defer stop()
	limit := 10 * time.Second // until the hello says how often something is to be heard
	alive := func() { ws.SetReadDeadline(time.Now().Add(limit)) }
	ws.SetPingHandler(func(data string) error {
		alive()
		return ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	})
	for {
		alive()
		_, text, err := ws.ReadMessage()
		if err != nil {
			return &lost{fmt.Errorf("%s: %w", w.endpoint(), err)}
		}
		var m watchMessage
		if err := json.Unmarshal(text, &m); err != nil {
			return &lost{fmt.Errorf("%s: a message that cannot be read: %w", w.endpoint(), err)}
		}
		if m.Type == "hello" && m.HeartbeatMS > 0 {
			limit = 5 * time.Duration(m.HeartbeatMS) * time.Millisecond / 2
		}
		if err := w.take(&m, text, yield); err != nil {
			return err
		}
	}
}

func (w *watcher) endpoint() string { return w.c.endpoints[w.at] }

// watchMessage is what all messages have that matter here.
type watchMessage struct {
	Type           string     `json:"type"`
	ClusterID      string     `json:"clusterId"`
	Revision       uint64     `json:"revision"`
	HeartbeatMS    int64      `json:"heartbeatMs"`
	Code           Code       `json:"code"`
	OldestRevision uint64     `json:"oldestRevision"`
	Error          *ErrorBody `json:"error"`
}

// take does with a message what it is for.
func (w *watcher) take(m *watchMessage, text []byte, yield func(Event, error) bool) error {
	switch m.Type {
	case "hello":
		w.c.good.Store(int64(w.at))
		if w.cluster == "" {
			w.cluster = m.ClusterID
		}
		if !w.begun && w.o.Now {
			w.after = m.Revision
		}
		w.begun = true
	case "ping":
		w.failed = 0
	case "bookmark":
		w.after, w.failed = max(w.after, m.Revision), 0
		w.progress()
	case "event":
		var e Event
		if err := json.Unmarshal(text, &e); err != nil {
			return &lost{fmt.Errorf("%s: an event that cannot be read: %w", w.endpoint(), err)}
		}
		return w.event(e, yield)
	case "error":
		if m.Error == nil {
			break
		}
		switch m.Error.Code {
		case CodeRevisionCompacted, CodeRevisionAhead, CodeClusterChanged:
			return &GapError{Code: m.Error.Code, Message: m.Error.Message, Revision: w.after, OldestRevision: m.OldestRevision}
		}
	}
	return nil
}

// event gives an event, if it is the next.
func (w *watcher) event(e Event, yield func(Event, error) bool) error {
	if filtered := w.o.Entity != "" || w.o.Type != ""; e.Revision <= w.after || !filtered && e.Revision != w.after+1 {
		return &lost{fmt.Errorf("%s: revision %d came after revision %d", w.endpoint(), e.Revision, w.after)}
	} else if filtered {
		w.chain = Verified{}
	}
	if v := w.o.Verifier; v != nil {
		if err := v.follow(&w.chain, e); err != nil {
			return err
		}
		if w.registry = cmp.Or(w.registry, w.chain.RegistryID); w.chain.RegistryID != w.registry {
			return unverified(e.Revision, "it is of registry %q, not %q", w.chain.RegistryID, w.registry)
		}
	}
	w.after, w.failed = e.Revision, 0
	if !yield(e, nil) {
		return errEnough
	}
	w.progress()
	return nil
}

func (w *watcher) progress() {
	if w.o.Progress != nil {
		w.o.Progress(w.after)
	}
}

// dial opens a WebSocket to the endpoint whose turn it is.
func (w *watcher) dial(ctx context.Context) (*websocket.Conn, error) {
	q := url.Values{}
	if w.begun || !w.o.Now {
		q.Set("since", strconv.FormatUint(w.after, 10))
	}
	setText(q, "cluster", w.cluster)
	setText(q, "entity", w.o.Entity)
	setText(q, "type", w.o.Type)
	if w.o.Verifier != nil {
		q.Set("receipts", "true")
	}
	target := strings.Replace(w.endpoint(), "http", "ws", 1) + w.c.path("/ws") + "?" + q.Encode()
	ws, resp, err := w.c.dialer().DialContext(ctx, target, nil)
	if err == nil {
		return ws, nil
	}
	if resp == nil {
		return nil, &lost{fmt.Errorf("%s: %w", w.endpoint(), err)}
	}
	body := make([]byte, 4<<10) // as much as the library keeps
	n, _ := resp.Body.Read(body)
	call := call{method: http.MethodGet, path: w.c.path("/ws")}
	failed := call.refusal(w.endpoint(), resp, body[:n])
	if failed.again || failed.Status >= 500 {
		return nil, &lost{failed}
	}
	return nil, failed
}

// dialer makes connections for WebSockets as the client's HTTP client makes its own.
func (c *Client) dialer() *websocket.Dialer {
	d := &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 10 * time.Second, Subprotocols: []string{subprotocol}}
	if t, ok := c.http.Transport.(*http.Transport); ok {
		d.Proxy, d.NetDialContext, d.NetDialTLSContext = t.Proxy, t.DialContext, t.DialTLSContext
		if t.TLSClientConfig != nil {
			d.TLSClientConfig = t.TLSClientConfig.Clone()
			d.TLSClientConfig.NextProtos = nil // the upgrade is HTTP/1.1's
		}
	}
	return d
}
