// Package feed hands the transactions that a node applies to whoever watches.
//
// # What it promises
//
// A [Cursor] stands behind one revision of one registry and gives what comes after it:
//
//   - ordered: by revision, without going back;
//   - unique: each revision once;
//   - atomic: a transaction as a whole, with all its changes;
//   - reliable: none is missing. A gap is told, by [ErrCompacted], and only there is where the
//     history does not reach back any more;
//   - resumable: a cursor behind the last revision that was seen, on any node of the cluster,
//     goes on where the other one stood;
//   - bookmarkable: [Cursor.After] says up to where everything was given.
//
// These are the properties that etcd tests its watch by. They follow from one rule: a cursor
// takes nothing but the revision after its own, out of the state that this node has applied,
// and the history of a registry is one and the same on all nodes. A node that is behind has
// less to give, and a snapshot that is installed changes nothing of what has been given.
//
// # How
//
// Readers are cursors, not queues: a slow one costs the others nothing and the node no memory.
// The newest transactions of each registry that is watched are kept in memory, shared by all
// cursors together with what they encode of them; older ones are read from the history, in
// blocks that those who come back at the same time share, too. Applying the log only notes what
// is new, in a time that does not depend on how many watch; a goroutine of the feed's own wakes
// those who wait.
package feed

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/fsm"
)

// ErrCompacted says that the history does not reach back to a [Cursor] any more.
var ErrCompacted = errors.New("the revision is older than the history that is kept")

const (
	// perWaiter is about what it costs to wake and serve one who waits. Between two rounds of
	// waking lies at least that much for each, so that what comes fast is given in larger
	// portions, and watching never takes the node's processors for itself.
	perWaiter    = 40 * time.Microsecond
	longestPause = 100 * time.Millisecond
)

// Feed is the transactions of one node. [Feed.Publish] and [Feed.Reset] are for the one
// goroutine that applies the log; everything else may be used concurrently.
type Feed struct {
	view    atomic.Pointer[fsm.View]
	topics  sync.Map      // registry id -> *topic
	news    chan struct{} // holds a token when there is something to tell
	watched atomic.Int64  // registries that somebody watches
	blocks  blocks
}

// New returns a feed that begins with a state.
func New(view fsm.View) *Feed {
	f := &Feed{news: make(chan struct{}, 1), blocks: blocks{byKey: make(map[blockKey]*block)}}
	f.view.Store(&view)
	return f
}

// Publish makes a newer state known, and the results that led to it, entry by entry. It
// never waits.
func (f *Feed) Publish(view fsm.View, entries ...[]fsm.Result) {
	f.view.Store(&view)
	told := false
	budget := min(recentBytes, totalBytes/max(1, int(f.watched.Load())))
	for _, results := range entries {
		for i := range results {
			if r := &results[i]; r.Transaction != nil && !r.Replayed {
				f.topic(r.Registry).append(r.Transaction, budget)
				told = true
			}
		}
	}
	if told {
		f.nudge()
	}
}

// Reset makes a state known that did not come of the one before by applying the log. What
// cursors have been given stays true: the histories are the same.
func (f *Feed) Reset(view fsm.View) {
	f.view.Store(&view)
	f.topics.Range(func(_, t any) bool {
		t.(*topic).clear()
		return true
	})
	f.nudge()
}

func (f *Feed) nudge() {
	select {
	case f.news <- struct{}{}:
	default:
	}
}

func (f *Feed) topic(registry string) *topic {
	if t, ok := f.topics.Load(registry); ok {
		return t.(*topic)
	}
	t, _ := f.topics.LoadOrStore(strings.Clone(registry), newTopic()) // it may be part of a larger text
	return t.(*topic)
}

// Run wakes those who wait, while ctx lasts.
func (f *Feed) Run(ctx context.Context) {
	for {
		select {
		case <-f.news:
		case <-ctx.Done():
			return
		}
		pause(ctx, min(time.Duration(f.Tell())*perWaiter, longestPause))
	}
}

// Tell wakes those who wait for what is new, once, and returns how many those are. It is
// what [Feed.Run] does time and again, for a node without goroutines.
func (f *Feed) Tell() (woken int64) {
	f.topics.Range(func(_, t any) bool {
		woken += t.(*topic).tell()
		return true
	})
	return woken
}

// pause waits for d or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
