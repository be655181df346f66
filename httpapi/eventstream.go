package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/tesd/tesd/cluster"
)

const eventStream = "text/event-stream"

// events answers the transactions of a registry as server-sent events, with the same
// guarantees as a WebSocket has. The id of an event is its revision.
func (s *Server) events(c *call) (*answer, error) {
	w, err := c.parseWatch("Last-Event-Id")
	if err != nil {
		return nil, err
	}
	n := s.newSession(c, w)
	if err := s.connections.add(n); err != nil {
		return nil, err
	}
	if _, err := n.begin(); err != nil {
		s.connections.remove(n)
		return nil, err
	}
	c.stamp(n.watch.since)
	done := func() {
		n.finish()
		s.connections.remove(n)
	}
	if c.r.Method == http.MethodHead {
		done()
		return &answer{contentType: eventStream}, nil
	}
	return &answer{contentType: eventStream, stream: func(io.Writer) error {
		defer done()
		return n.stream()
	}}, nil
}

// eventWriter writes server-sent events. A caller that takes nothing for too long loses the connection.
type eventWriter struct {
	n  *session
	w  http.ResponseWriter
	rc *http.ResponseController
}

// write sends text at once.
func (e eventWriter) write(text []byte) error {
	const piece = 16 << 10 // each has its time
	for len(text) > 0 {
		part := text[:min(piece, len(text))]
		e.n.allow(e.rc.SetWriteDeadline)
		if _, err := e.w.Write(part); err != nil {
			return err
		}
		if err := e.rc.Flush(); err != nil {
			return err
		}
		text = text[len(part):]
	}
	return nil
}

// stream writes events until the caller goes, the server stops, or the watch cannot go on here.
func (n *session) stream() error {
	ctx, cancel := context.WithCancel(n.c.r.Context())
	defer cancel()
	out := eventWriter{n, n.c.w, http.NewResponseController(n.c.w)}
	defer context.AfterFunc(n.s.connections.life, func() {
		n.hasten(out.rc.SetWriteDeadline)
		cancel()
	})()
	// Without data this is no event, but gives the caller the place to come back to.
	if err := out.write(fmt.Appendf(nil, ": %s\nid: %d\n\n", n.id, n.watch.since)); err != nil {
		return err
	}
	beat := time.NewTicker(n.s.heartbeat)
	defer beat.Stop()
	for {
		changed := n.cursor.Changed()
		items, err := n.take()
		if isGap(err) {
			return out.gap(err)
		} else if err != nil {
			return err
		}
		events, err := n.c.encode(&n.watch, items)
		if err != nil {
			return err
		}
		var text []byte
		for _, e := range events {
			text = fmt.Appendf(text, "id: %d\nevent: event\ndata: %s\n\n", e.revision, e.text)
		}
		if err := out.write(text); err != nil {
			return err
		}
		n.sent.Store(n.cursor.After())
		if len(items) > 0 {
			changed = n.s.more
		}
		select {
		case <-changed:
		case <-beat.C:
			err = out.beat(ctx)
		case <-ctx.Done():
			return nil
		}
		if isGap(err) {
			return out.gap(err)
		} else if errors.Is(err, cluster.ErrNotReady) {
			return nil // the caller comes back, to another node if it knows one
		} else if err != nil {
			return err
		}
	}
}

// beat writes what a caller hears even if nothing happens, unless the watch cannot go on here.
func (e eventWriter) beat(ctx context.Context) error {
	n := e.n
	if err := n.standing.check(ctx, n.c, &n.watch); err != nil {
		return err
	}
	if n.watch.filtered() {
		after := n.cursor.After()
		return e.write(fmt.Appendf(nil, "id: %d\nevent: bookmark\ndata: {\"type\":\"bookmark\",\"revision\":%d}\n\n", after, after))
	}
	return e.write([]byte(": heartbeat\n\n"))
}

// gap tells that a watch cannot go on.
func (e eventWriter) gap(err error) error {
	text, err := json.Marshal(e.n.gapOf(err))
	if err == nil {
		err = e.write(fmt.Appendf(nil, "event: error\ndata: %s\n\n", text))
	}
	return err
}
