package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/watchcheck"
)

// start is where a watch begins.
type start struct {
	since uint64
	now   bool
}

// watcher watches by one connection after the other, at random nodes, each for a while.
type watcher struct {
	w         *World
	name      string
	rng       *rand.Rand
	rec       recorder
	transport *http.Transport
	watch     func(w *watcher, ctx context.Context, at start) // by one connection, until it ends
	receipts  bool
	slow      time.Duration // it takes up to so long over each message
	longest   time.Duration // of a connection
	settled   chan struct{} // closed when it is to stay connected, and to hurry
}

// ways are how one can watch. A watcher's name says which it is.
func ways() map[string]func(*watcher, context.Context, start) {
	return map[string]func(*watcher, context.Context, start){
		"library": (*watcher).library, "websocket": (*watcher).webSocket, "stream": (*watcher).eventStream,
	}
}

// filters are what watchers want to be told of. A bump of all that is linked to the global
// entity is in each of them.
func filters() []watchcheck.Filter {
	return []watchcheck.Filter{
		{Entity: "component:*"}, {Type: "api-scope"}, {Entity: "*:?", Type: "component"}, {Type: "global"}, {Entity: "api:a"},
	}
}

// Watchers are some who watch a world.
type Watchers struct {
	all     []*watcher
	settled chan struct{}
	end     context.CancelFunc
	group   sync.WaitGroup
}

// Watch has each number of each way watch the world. Of each way two in five are filtered, and
// one in three is slow.
func (w *World) Watch(seed uint64, each int, longest time.Duration) *Watchers {
	ctx, end := context.WithCancel(context.Background())
	ws := &Watchers{settled: make(chan struct{}), end: end}
	for way, watch := range ways() { // any order: each has its own source of chance
		for i := range each {
			n := &watcher{
				w: w, name: fmt.Sprintf("%s-%d", way, i), rng: rand.New(rand.NewPCG(seed, uint64(len(way)*1000+i))),
				watch: watch, receipts: i%2 == 0 && !w.Plain, longest: longest, settled: ws.settled,
			}
			n.rec.w, n.rec.stream.Watcher, n.rec.placed = w, n.name, i%3 > 0 // behind revision 0
			if i%5 >= 3 || each < 4 && i == each-1 {
				n.rec.stream.Filter = filters()[n.rng.IntN(len(filters()))]
			}
			if i%3 == 1 {
				n.slow = 60 * time.Millisecond
			}
			n.transport = w.transport(n.name)
			ws.all = append(ws.all, n)
			ws.group.Go(func() { n.run(ctx) })
		}
	}
	return ws
}

// Settle has the watchers stay where they are connected from now on, or go on from where they
// are.
func (ws *Watchers) Settle() { close(ws.settled) }

// Behind returns a watcher that has not been told of everything up to a revision; ok is false
// if there is none.
func (ws *Watchers) Behind(revision uint64) (name string, ok bool) {
	for _, n := range ws.all {
		if at, placed := n.rec.place(); !placed || at < revision {
			return fmt.Sprintf("%s (at %d of %d)", n.name, at, revision), true
		}
	}
	return "", false
}

// End ends the watchers and returns what each was told.
func (ws *Watchers) End() (streams []*watchcheck.Stream) {
	ws.end()
	ws.group.Wait()
	for _, n := range ws.all {
		n.transport.CloseIdleConnections()
		streams = append(streams, n.rec.recorded())
	}
	return streams
}

func (n *watcher) isSettled() bool {
	select {
	case <-n.settled:
		return true
	default:
		return false
	}
}

func (n *watcher) run(ctx context.Context) {
	pause(ctx, upTo(n.rng, 200*time.Millisecond))
	for ctx.Err() == nil {
		at := n.next()
		connection, hop := context.WithCancel(ctx)
		life := time.NewTimer(upTo(n.rng, n.longest))
		var hopper sync.WaitGroup
		hopper.Go(func() {
			defer life.Stop()
			select {
			case <-life.C:
				hop()
			case <-n.settled:
			case <-connection.Done():
			}
		})
		n.watch(n, connection, at)
		hop()
		hopper.Wait()
		pause(ctx, upTo(n.rng, 50*time.Millisecond))
	}
}

// next returns where the next watch begins: mostly behind what was told last.
func (n *watcher) next() start {
	if oldest := n.rec.gap(); oldest > 0 && n.rng.IntN(3) > 0 {
		return start{since: oldest - 1}
	}
	at, placed := n.rec.place()
	chance := n.rng.IntN(20)
	switch {
	case n.isSettled() && placed:
		return start{since: at}
	case n.isSettled():
		return start{since: n.w.known.Load()}
	case !placed || chance == 0:
		return start{now: true}
	case chance == 1: // what does not exist yet, or not there
		return start{since: n.w.known.Load() + 1 + n.rng.Uint64N(20)}
	case chance < 4:
		return start{since: n.rng.Uint64N(at + 1)}
	}
	return start{since: at}
}

// dawdle is what a slow watcher does with a message.
func (n *watcher) dawdle(ctx context.Context) {
	if n.slow > 0 && !n.isSettled() {
		pause(ctx, upTo(n.rng, n.slow))
	}
}

// library watches by the client library, which goes from node to node by itself.
func (n *watcher) library(ctx context.Context, at start) {
	c, release, err := n.w.Client(n.name, n.rng, true)
	if err != nil {
		n.w.Fail("%s: %w", n.name, err)
		return
	}
	defer release()
	f := n.rec.stream.Filter
	o := client.WatchOptions{
		Since: at.since, Now: at.now, Entity: f.Entity, Type: f.Type, Progress: n.rec.bookmark,
		Trouble: func(err error) { n.w.Count("troubles of the library", 1) },
	}
	if n.receipts {
		o.Verifier = &client.Verifier{}
	}
	n.rec.connect("any", at)
	for e, err := range c.Watch(ctx, o) {
		if err == nil {
			n.rec.event(&e)
			n.dawdle(ctx)
			continue
		}
		if gap, ok := errors.AsType[*client.GapError](err); ok {
			n.rec.gone(ctx, gap.Code, gap.OldestRevision)
		} else if ctx.Err() == nil {
			n.w.Fail("%s ended with: %w", n.name, err)
		}
	}
	n.rec.disconnect("the watch ended")
}
