package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
)

// Close codes of a WebSocket that are tesd's own.
const (
	closeSlow = 4408 // the caller takes too little; the reason has the last revision that was sent
	closeGap  = 4410 // the watch cannot go on where it wants to
)

const (
	maxMessage  = 64 << 10    // bytes of a message from a caller
	maxBad      = 10          // messages that cannot be used, until the connection ends
	maxPending  = 1 << 20     // bytes that wait for a caller, before its next message is read
	closingTime = time.Second // for the caller's part of the closing handshake
)

// session is one WebSocket. Its goroutine writes what the registry's transactions are; a
// second one reads and answers the caller's messages. Both write to the outbox, which the
// first one flushes.
type session struct {
	c         *call
	s         *Server
	id        string
	connected time.Time
	active    atomic.Int64  // when the caller last sent anything, Unix milliseconds
	sent      atomic.Uint64 // up to which revision everything was written
	watch     watch
	standing  standing
	cursor    *feed.Cursor
	out       *outbox

	writing sync.Mutex
	ws      *websocket.Conn

	patience sync.Mutex
	over     bool // only the end of the connection is awaited
	bad      int  // the reader's
}

// newSession makes the session of a caller that wants to watch.
func (s *Server) newSession(c *call, w watch) *session {
	n := &session{c: c, s: s, id: s.newRequestID(), connected: s.now(), watch: w}
	n.active.Store(n.connected.UnixMilli())
	return n
}

// begin finds the place at which the watch begins. finish must follow.
func (n *session) begin() (view fsm.View, err error) {
	n.cursor, view, n.standing.ahead, err = n.c.begin(&n.watch)
	n.sent.Store(n.watch.since)
	return view, err
}

func (n *session) finish() {
	if n.cursor != nil {
		n.cursor.Close()
	}
}

// take returns the transactions that follow. That they are no longer kept is a gap: see [isGap].
func (n *session) take() ([]*feed.Item, error) {
	items, err := n.cursor.Take(portion)
	if errors.Is(err, feed.ErrCompacted) {
		r, _ := n.s.node.View().Registry(n.c.registry)
		err = compacted("?since", n.cursor.After()+1, r)
	}
	return items, err
}

// send writes one message.
func (n *session) send(message any) error {
	text, err := json.Marshal(message, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return fmt.Errorf("encoding a message: %w", err)
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	return n.ws.WriteMessage(websocket.TextMessage, text)
}

func (n *session) sendEvents(events []*encodedEvent) error {
	n.writing.Lock()
	defer n.writing.Unlock()
	for _, e := range events {
		if err := n.ws.WritePreparedMessage(e.frame); err != nil {
			return err
		}
	}
	return nil
}

// run serves the session until it ends, and ends it in good order if it can.
func (n *session) run(ctx context.Context) {
	defer n.ws.Close()
	defer context.AfterFunc(ctx, func() { n.out.hasten(closingTime) })()
	reading, done := context.WithCancelCause(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { done(n.read(reading)) })
	err := n.out.flush(n.s.patience) // the hello does not wait for what there is to tell
	if err == nil {
		err = n.tell(reading)
	}
	if reading.Err() != nil && context.Cause(reading) != nil {
		err = context.Cause(reading)
	}
	n.end(err)
	done(err)
	until := n.hurry()
	reader.Wait()
	n.out.linger(until)
}

// end closes the session and logs that it is over. What broke the protocol, or took too
// little, is an error, too.
func (n *session) end(err error) {
	fields := []any{"connectionId", n.id, "registryId", n.c.registry, "revision", n.sent.Load(), "reason", reasonText(err)}
	if told, ok := errors.AsType[closing](err); ok && told.broken || errors.Is(err, errSlow) {
		n.s.log.Warn("ws_error", fields...)
	}
	n.close(err)
	n.s.log.Info("ws_close", fields...)
}

// tell writes transactions and heartbeats, and flushes what was written, until ctx ends or
// something fails.
func (n *session) tell(ctx context.Context) error {
	beat := time.NewTicker(n.s.heartbeat)
	defer beat.Stop()
	for {
		changed := n.cursor.Changed()
		items, err := n.take()
		if err != nil {
			return err
		}
		events, err := n.c.encode(&n.watch, items)
		if err == nil {
			err = n.sendEvents(events)
		}
		if err == nil {
			err = n.out.flush(n.s.patience)
		}
		if err != nil {
			return err
		}
		n.sent.Store(n.cursor.After())
		if len(items) > 0 {
			changed = n.s.more
		}
		select {
		case <-changed:
		case <-n.out.filled:
		case <-beat.C:
			if err := n.beat(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beat writes what a caller hears even if nothing happens, unless the watch cannot go on here.
func (n *session) beat(ctx context.Context) error {
	if err := n.standing.check(ctx, n.c, &n.watch); err != nil {
		return err
	}
	if n.watch.filtered() {
		if err := n.send(bookmarkMessage{"bookmark", n.cursor.After()}); err != nil {
			return err
		}
	}
	if err := n.send(pingMessage{"ping", n.s.now().UnixMilli()}); err != nil {
		return err
	}
	return n.ws.WriteControl(websocket.PingMessage, nil, time.Time{})
}

// heard notes that the caller lives.
func (n *session) heard() {
	n.active.Store(n.s.now().UnixMilli())
	n.patience.Lock()
	defer n.patience.Unlock()
	if !n.over {
		n.ws.SetReadDeadline(time.Now().Add(2*n.s.heartbeat + n.s.heartbeat/2))
	}
}

// allow gives the next write the time for which a caller may take nothing.
func (n *session) allow(setDeadline func(time.Time) error) {
	n.patience.Lock()
	defer n.patience.Unlock()
	if !n.over {
		setDeadline(time.Now().Add(n.s.patience)) // what has no deadlines has no connection to lose
	}
}

// hasten has everything written in a moment.
func (n *session) hasten(setDeadline func(time.Time) error) {
	n.patience.Lock()
	defer n.patience.Unlock()
	n.over = true
	setDeadline(time.Now().Add(closingTime))
}

// hurry gives the caller a moment for its part of the closing handshake, whatever else it
// sends meanwhile. It returns when that is over.
func (n *session) hurry() time.Time {
	n.patience.Lock()
	defer n.patience.Unlock()
	n.over = true
	until := time.Now().Add(closingTime)
	n.ws.SetReadDeadline(until)
	return until
}

// read answers the caller's messages until the connection ends. It returns why it did.
func (n *session) read(ctx context.Context) error {
	n.ws.SetReadLimit(maxMessage)
	n.ws.SetPongHandler(func(string) error { n.heard(); return nil })
	n.ws.SetPingHandler(func(data string) error {
		n.heard()
		if n.out.pending() > maxPending {
			return nil // one that does not take its answers needs no more of them
		}
		return n.ws.WriteControl(websocket.PongMessage, []byte(data), time.Time{})
	})
	for {
		n.heard()
		kind, text, err := n.ws.ReadMessage()
		switch {
		case err != nil:
			return ended(err)
		case ctx.Err() != nil: // only the end of the connection is awaited
			continue
		case kind != websocket.TextMessage:
			return broken(websocket.CloseUnsupportedData, "a message must be text")
		case !utf8.Valid(text):
			return broken(websocket.CloseInvalidFramePayloadData, "a message must be UTF-8")
		}
		for n.out.pending() > maxPending { // the caller takes its answers before it asks for more
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := n.answer(text); err != nil {
			return err
		}
	}
}

// closing is a reason to end a session that is told to the caller.
type closing struct {
	code   int
	text   string
	broken bool // by the caller
}

// Error returns the reason in words.
func (c closing) Error() string { return c.text }

// broken is the end of a session whose caller broke the protocol.
func broken(code int, text string) error { return closing{code, text, true} }

// errGone says that the caller ended the session, or fell silent.
var errGone = errors.New("the caller is gone")

// ended is what an error of reading comes to.
func ended(err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return fmt.Errorf("%w: it was silent for two heartbeats", errGone)
	}
	if errors.Is(err, websocket.ErrReadLimit) {
		return broken(websocket.CloseMessageTooBig, "a message exceeds 64 KiB")
	}
	return fmt.Errorf("%w: %w", errGone, err)
}

// close says why the session ends, if the caller can be told.
func (n *session) close(err error) {
	code, text := websocket.CloseInternalServerErr, "the server failed"
	told, _ := errors.AsType[closing](err)
	patience := n.s.patience
	switch {
	case errors.Is(err, errGone):
		n.out.flush(closingTime) // an answer to the caller's goodbye, if there was one
		n.out.end()
		return
	case told.code != 0:
		code, text = told.code, told.text
	case errors.Is(err, errSlow):
		code, text = closeSlow, fmt.Sprintf("too slow; everything was sent up to revision %d", n.sent.Load())
		patience = closingTime
		n.writing.Lock()
		n.out.drop()
		n.writing.Unlock()
	case errors.Is(err, cluster.ErrShuttingDown):
		code, text = websocket.CloseServiceRestart, "the node is shutting down; go on at another one"
	case isGap(err):
		n.send(n.gapOf(err))
		code, text = closeGap, failureOf(err).message
	case errors.Is(err, cluster.ErrNotReady):
		code, text = websocket.CloseTryAgainLater, err.Error()
	default:
		n.s.log.Error("ws_error", "connectionId", n.id, "registryId", n.c.registry, "error", err)
	}
	n.writing.Lock()
	n.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, shorten(text)), time.Time{})
	n.writing.Unlock()
	if n.out.flush(patience) != nil {
		n.out.Conn.Close()
	}
	n.out.end()
}

// gapOf is the message that tells of a place where a watch cannot go on.
func (n *session) gapOf(err error) gapMessage {
	body := n.c.errorBody(err)
	m := gapMessage{Type: "error", Status: "ERROR", Code: body.Code, Error: body}
	if body.Code == client.CodeRevisionCompacted {
		r, _ := n.s.node.View().Registry(n.c.registry)
		m.OldestRevision = r.OldestRevision()
	}
	return m
}

// shorten makes a text fit a close frame.
func shorten(text string) string { return text[:min(len(text), 120)] }

func reasonText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
