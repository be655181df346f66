package chaos

import (
	"context"
	"sync"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/watchcheck"
)

// recorder is what one watcher is told. One goroutine records, others may look.
type recorder struct {
	w *World

	mu       sync.Mutex
	stream   watchcheck.Stream
	placed   bool   // position is known
	position uint64 // up to which everything was told
	oldest   uint64 // of the last gap, if nothing came since
}

// add records a step, and what it comes to.
func (r *recorder) add(s watchcheck.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	steps := []watchcheck.Step{s}
	if r.w.Mutate != nil && s.Kind != watchcheck.Connect {
		steps = r.w.Mutate(r.stream.Steps[len(r.stream.Steps)-1].Node, s)
	}
	for _, s := range steps {
		r.keep(s)
	}
}

func (r *recorder) keep(s watchcheck.Step) {
	if n := len(r.stream.Steps); n > 0 && s.Node == "" {
		s.Node = r.stream.Steps[n-1].Node
	}
	r.stream.Steps = append(r.stream.Steps, s)
	switch s.Kind {
	case watchcheck.Connect:
		if r.placed = !s.Now; r.placed {
			r.position = s.Since
		}
		r.w.Count("connections", 1)
	case watchcheck.Hello:
		if !r.placed {
			r.placed, r.position = true, s.Revision
		}
		r.oldest = 0
		r.w.Count("hellos", 1)
	case watchcheck.Told:
		r.placed, r.position, r.oldest = true, max(r.position, s.Revision), 0
		r.w.learn(s.Revision)
		r.w.Count("events", 1)
	case watchcheck.Bookmark:
		r.placed, r.position = true, max(r.position, s.Revision)
		r.w.Count("bookmarks", 1)
	case watchcheck.Gap:
		r.placed, r.oldest = false, s.Oldest
		r.w.Count("gap "+s.Code, 1)
	}
}

// place returns up to where everything was told; ok is false if nothing was since the last
// gap.
func (r *recorder) place() (revision uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position, r.placed
}

// gap returns the oldest revision that the last gap told of, 0 if there was none.
func (r *recorder) gap() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.oldest
}

// recorded returns what was recorded so far.
func (r *recorder) recorded() *watchcheck.Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stream
	return &s
}

func (r *recorder) connect(node string, at start) {
	r.add(watchcheck.Step{Kind: watchcheck.Connect, Node: node, Since: at.since, Now: at.now, Floor: r.w.known.Load()})
}

func (r *recorder) hello(revision uint64, clusterID string) {
	r.add(watchcheck.Step{Kind: watchcheck.Hello, Revision: revision, ClusterID: clusterID})
}

func (r *recorder) event(e *client.Event) {
	told := EventOf(e)
	r.add(watchcheck.Step{Kind: watchcheck.Told, Revision: e.Revision, Event: &told})
}

// EventOf is an event of the library as the validator takes it.
func EventOf(e *client.Event) watchcheck.Event {
	told := watchcheck.Event{
		Revision: e.Revision, Kind: e.Kind, TransactionID: e.TransactionID, Timestamp: e.Timestamp,
		Payload: e.Payload, Hash: e.Hash,
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, c := range e.Changes {
		told.Changes = append(told.Changes, watchcheck.Change{
			EntityID: c.EntityID, OldVersion: text(c.OldVersion), NewVersion: text(c.NewVersion), DisplayName: c.DisplayName,
		})
	}
	return told
}

func (r *recorder) bookmark(revision uint64) {
	r.add(watchcheck.Step{Kind: watchcheck.Bookmark, Revision: revision})
}

func (r *recorder) gone(ctx context.Context, code client.Code, oldest uint64) {
	r.add(watchcheck.Step{Kind: watchcheck.Gap, Code: string(code), Oldest: oldest, Ceiling: r.w.Committed(ctx)})
}

func (r *recorder) disconnect(why string) {
	r.add(watchcheck.Step{Kind: watchcheck.Disconnect, Reason: why})
}
