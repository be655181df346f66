package httpapi

import (
	"errors"
	"fmt"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
	"github.com/tesd/tesd/internal/glob"
	"github.com/tesd/tesd/internal/intake"
)

// watch is what a caller wants to be told: the transactions of a registry behind a
// revision, all or some of them.
type watch struct {
	since    uint64
	given    bool   // since was
	cluster  string // that since is of; "" for any
	entity   string // glob of ids; "" for any
	kind     string // type of entities; "" for any
	receipts bool
}

// portion is how many transactions are written to a watcher at once, at most.
const portion = 256

// parseWatch reads a watch. since may also come as a header, which is stronger then.
func (c *call) parseWatch(lastEventID string) (watch, error) {
	var f intake.Faults
	q := newQuery(c.r.URL.RawQuery, &f)
	var w watch
	w.since, w.given = q.uint("since")
	if id, given := c.header(lastEventID, &f); lastEventID != "" && given {
		since, ok := parseRevision(id)
		if !ok {
			f.Add(lastEventID, "must be a revision")
		}
		w.since, w.given = since, true
	}
	w.cluster, _ = q.text("cluster")
	w.entity, _ = q.text("entity")
	w.kind, _ = q.checked("type", checkType)
	w.receipts, _ = q.bool("receipts")
	q.finish()
	return w, faulty(&f)
}

// begin finds the place at which a watch begins: a cursor, and the state that it begins
// with. The failures of a place that cannot be are gaps: see [gapCode].
func (c *call) begin(w *watch) (*feed.Cursor, fsm.View, error) {
	view := c.s.node.View()
	r, known := view.Registry(c.registry)
	if !w.given || !known || w.since > r.Revision() {
		fresh, err := c.read(cluster.ReadOptions{Mode: cluster.Linearizable})
		switch {
		case err == nil:
			view = fresh
		case !w.given || !known || errors.Is(err, cluster.ErrShuttingDown):
			return nil, view, err
		} // else it may be right, and waits for the revision with the node
		if r, known = view.Registry(c.registry); !known {
			return nil, view, unknownRegistry(c.registry)
		}
		if err == nil && w.since > r.Revision() {
			return nil, view, gap(client.CodeRevisionAhead, "revision %d of registry %q does not exist yet; it is at %d", w.since, c.registry, r.Revision())
		}
	}
	if id := view.Cluster().ClusterID; w.cluster != "" && w.cluster != id {
		return nil, view, gap(client.CodeClusterChanged, "this is cluster %s, not %s: it was restored from a backup, or is another one", id, w.cluster)
	}
	if !w.given {
		w.since = r.Revision()
	}
	if w.since < r.OldestRevision()-1 {
		return nil, view, compacted("?since", w.since+1, r)
	}
	cursor, err := c.s.node.Feed().Open(c.registry, w.since)
	return cursor, view, err
}

func gap(code client.Code, format string, args ...any) error {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

// admits reports whether a watch is told of a transaction. An entity whose type cannot be
// told any more, because it was deleted, is of any type: better one too many than one too
// few.
func (w *watch) admits(r fsm.Registry, t *fsm.Transaction) bool {
	if w.entity == "" && w.kind == "" {
		return true
	}
	for i := range t.Changes {
		id := t.Changes[i].EntityID
		if w.entity != "" && !glob.Match(w.entity, id) {
			continue
		}
		if w.kind == "" {
			return true
		}
		if e, ok := r.Entity(id); !ok || string(e.Type) == w.kind {
			return true
		}
	}
	return false
}

// filtered reports whether a watch leaves something out.
func (w *watch) filtered() bool { return w.entity != "" || w.kind != "" }

// sharedEvent is an event as all watchers of a node share it, made when the first needs it.
type sharedEvent struct {
	mu   sync.Mutex
	made [2]*encodedEvent // without and with the receipt
}

type encodedEvent struct {
	revision uint64
	text     []byte                     // the message
	frame    *websocket.PreparedMessage // with it
}

// eventMessage is an event on its way to a watcher.
type eventMessage struct {
	Type string `json:"type"`
	client.Event
}

// event returns the message for a transaction.
func (s *Server) event(item *feed.Item, receipts bool) (*encodedEvent, error) {
	shared := item.Share(func(*fsm.Transaction) any { return new(sharedEvent) }).(*sharedEvent)
	i := 0
	if receipts {
		i = 1
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	var err error
	if shared.made[i] == nil {
		shared.made[i], err = s.encodeEvent(item.Transaction, receipts)
	}
	return shared.made[i], err
}

func (s *Server) encodeEvent(t *fsm.Transaction, receipts bool) (*encodedEvent, error) {
	payload := t.Payload()
	signature, err := s.node.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("signing an event: %w", err)
	}
	text, err := json.Marshal(eventMessage{"event", eventOf(t, payload, signature, receipts)}, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	frame, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return &encodedEvent{t.Revision, text, frame}, nil
}

// encode returns the messages for those transactions that the watch is told of.
func (c *call) encode(w *watch, items []*feed.Item) ([]*encodedEvent, error) {
	if len(items) == 0 {
		return nil, nil
	}
	var events []*encodedEvent
	r, _ := c.s.node.View().Registry(c.registry)
	for _, item := range items {
		if !w.admits(r, item.Transaction) {
			continue
		}
		e, err := c.s.event(item, w.receipts)
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}
