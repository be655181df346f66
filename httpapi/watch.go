package httpapi

import (
	"errors"
	"fmt"
	"slices"
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
	w.entity, _ = q.checked("entity", checkGlob)
	w.kind, _ = q.checked("type", checkType)
	w.receipts, _ = q.bool("receipts")
	q.finish()
	return w, faulty(&f)
}

// maxGlob is how long a pattern for ids may be. It is tried on all that changes.
const maxGlob = 256

func checkGlob(pattern string) error {
	if len(pattern) > maxGlob {
		return fmt.Errorf("has %d bytes; it may have %d", len(pattern), maxGlob)
	}
	return nil
}

// begin finds the place at which a watch begins: a cursor, and the state that it begins
// with. The failures of a place that cannot be are gaps: see [isGap]. ahead says that the place
// may be one that does not exist.
func (c *call) begin(w *watch) (cursor *feed.Cursor, _ fsm.View, ahead bool, _ error) {
	view := c.s.node.View()
	r, known := view.Registry(c.registry)
	if !w.given || !known || w.since > r.Revision() {
		fresh, err := c.read(cluster.ReadOptions{Mode: cluster.Linearizable})
		switch {
		case err == nil:
			view = fresh
		case !w.given || !known || errors.Is(err, cluster.ErrShuttingDown):
			return nil, view, false, err
		default:
			ahead = true // it may be right, and waits for the revision with the node
		}
		if r, known = view.Registry(c.registry); !known {
			return nil, view, false, unknownRegistry(c.registry)
		}
		if err := w.checkAhead(r, c.registry); err != nil && !ahead {
			return nil, view, false, err
		}
	}
	if id := view.Cluster().ClusterID; w.cluster != "" && w.cluster != id {
		return nil, view, false, gap(client.CodeClusterChanged, "this is cluster %s, not %s: it was restored from a backup, or is another one", id, w.cluster)
	}
	if !w.given {
		w.since = r.Revision()
	}
	if w.since < r.OldestRevision()-1 {
		return nil, view, false, compacted("?since", w.since+1, r)
	}
	return c.s.node.Feed().Open(c.registry, w.since), view, ahead, nil
}

// checkAhead refuses a watch behind a revision that the registry, read from a leader, does not have.
func (w *watch) checkAhead(r fsm.Registry, id string) error {
	if w.since <= r.Revision() {
		return nil
	}
	return gap(client.CodeRevisionAhead, "revision %d of registry %q does not exist yet; it is at %d", w.since, id, r.Revision())
}

func gap(code client.Code, format string, args ...any) error {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

// admits reports whether a watch is told of a transaction.
func (w *watch) admits(t *fsm.Transaction) bool {
	return !w.filtered() || slices.ContainsFunc(t.Changes, func(c fsm.Change) bool {
		return (w.kind == "" || string(c.Type) == w.kind) && (w.entity == "" || glob.Match(w.entity, c.EntityID))
	})
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
	for _, item := range items {
		if !w.admits(item.Transaction) {
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
