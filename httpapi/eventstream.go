package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/tesd/tesd/internal/feed"
)

// events answers the transactions of a registry as server-sent events, with the same
// guarantees as a WebSocket has. The id of an event is its revision.
func (s *Server) events(c *call) (*answer, error) {
	w, err := c.parseWatch("Last-Event-Id")
	if err != nil {
		return nil, err
	}
	cursor, _, err := c.begin(&w)
	if err != nil {
		return nil, err
	}
	n := &session{c: c, s: s, id: s.newRequestID(), connected: s.now(), watch: w, cursor: cursor}
	n.active.Store(n.connected.UnixMilli())
	n.sent.Store(w.since)
	if c.r.Method == http.MethodHead {
		cursor.Close()
		c.stamp(w.since)
		return &answer{contentType: eventStream}, nil
	}
	if err := s.connections.add(n); err != nil {
		cursor.Close()
		return nil, err
	}
	c.stamp(w.since)
	return &answer{contentType: eventStream, stream: func(body io.Writer) error {
		defer cursor.Close()
		defer s.connections.remove(n)
		return n.stream(body)
	}}, nil
}

const eventStream = "text/event-stream"

// stream writes events until the caller goes or the server stops.
func (n *session) stream(body io.Writer) error {
	ctx, cancel := context.WithCancel(n.c.r.Context())
	defer cancel()
	defer context.AfterFunc(n.s.connections.life, cancel)()
	rc := http.NewResponseController(n.c.w)
	beat := time.NewTicker(n.s.heartbeat)
	defer beat.Stop()
	for {
		changed := n.cursor.Changed()
		items, err := n.cursor.Take(portion)
		if errors.Is(err, feed.ErrCompacted) {
			return n.streamGap(body)
		} else if err != nil {
			return err
		}
		events, err := n.c.encode(&n.watch, items)
		if err != nil {
			return err
		}
		for _, e := range events {
			if _, err := fmt.Fprintf(body, "id: %d\nevent: event\ndata: %s\n\n", e.revision, e.text); err != nil {
				return err
			}
		}
		if err := rc.Flush(); err != nil {
			return err
		}
		n.sent.Store(n.cursor.After())
		if len(items) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-beat.C:
			if err := n.streamBeat(body); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// streamBeat writes what a caller hears even if nothing happens.
func (n *session) streamBeat(body io.Writer) error {
	if n.watch.filtered() {
		after := n.cursor.After()
		_, err := fmt.Fprintf(body, "id: %d\nevent: bookmark\ndata: {\"type\":\"bookmark\",\"revision\":%d}\n\n", after, after)
		return err
	}
	_, err := io.WriteString(body, ": heartbeat\n\n")
	return err
}

// streamGap tells that the history does not reach back to the caller any more.
func (n *session) streamGap(body io.Writer) error {
	text, err := json.Marshal(n.compacted())
	if err == nil {
		_, err = fmt.Fprintf(body, "event: error\ndata: %s\n\n", text)
	}
	return err
}
