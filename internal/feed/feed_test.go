package feed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
)

const registry = "r"

// writer is what applies a log to a machine and tells the feed, as a node does.
type writer struct {
	t       *testing.T
	machine *fsm.Machine
	feed    *feed.Feed
	index   uint64
}

// newWriter founds a cluster whose default registry has one entity, at revision 1.
func newWriter(t *testing.T, keep uint64) *writer {
	w := &writer{t: t, machine: fsm.New()}
	w.feed = feed.New(w.machine.View())
	w.apply(
		fsm.Command{Op: fsm.Genesis{ClusterID: "c", RegistryID: registry, KeyID: "k", HistoryKeep: keep}},
		fsm.Command{Registry: registry, Op: fsm.Migrate{Source: "test", Entities: []fsm.Entity{{
			ID: "a", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: "A"}}}},
	)
	return w
}

func (w *writer) apply(commands ...fsm.Command) {
	w.index++
	stamp := 1_700_000_000_000 + 1000*int64(w.index) // the same when an entry is applied again
	results := w.machine.Apply(w.index, fsm.Entry{Stamp: stamp, Commands: commands})
	w.feed.Publish(w.machine.View(), results)
}

// bump commits n transactions in one entry.
func (w *writer) bump(n int) {
	commands := make([]fsm.Command, n)
	for i := range commands {
		commands[i] = fsm.Command{Registry: registry, Op: fsm.Bump{Scope: fsm.Patch, EntityID: "a"}}
	}
	w.apply(commands...)
}

// reset goes through a snapshot, of the present state or of an older one, as when a leader
// installs one.
func (w *writer) reset(snapshot []byte) {
	m, err := fsm.Restore(bytes.NewReader(snapshot))
	if err != nil {
		w.t.Fatal(err)
	}
	w.machine, w.index = m, m.View().Index()
	w.feed.Reset(m.View())
}

func (w *writer) snapshot() []byte {
	var b bytes.Buffer
	if _, err := w.machine.View().WriteTo(&b); err != nil {
		w.t.Fatal(err)
	}
	return b.Bytes()
}

func (w *writer) open(after uint64) *feed.Cursor {
	w.t.Helper()
	c := w.feed.Open(registry, after)
	w.t.Cleanup(c.Close)
	return c
}

// watched is what a watcher saw, checked as it comes.
type watched struct {
	after uint64
	last  fsm.Hash
}

// see holds items to being ordered, unique, atomic and reliable: each carries the hash of the
// one before it, and the hash is that of its whole payload.
func (s *watched) see(items []*feed.Item) error {
	for _, i := range items {
		tx := i.Transaction
		if tx.Revision != s.after+1 || s.after > 0 && s.last != (fsm.Hash{}) && tx.PreviousHash != s.last {
			return fmt.Errorf("revision %d came after revision %d", tx.Revision, s.after)
		}
		s.after, s.last = tx.Revision, tx.Hash
	}
	return nil
}

// TestCursorsFromAnywhere opens a cursor behind every revision, with the window full and
// passed, and checks that each is given the rest.
func TestCursorsFromAnywhere(t *testing.T) {
	w := newWriter(t, 0)
	for range 30 {
		w.bump(100)
	}
	for after := uint64(0); after < 3001; after += 97 {
		c, seen := w.open(after), watched{after: after}
		for {
			items, err := c.Take(64)
			if err == nil {
				err = seen.see(items)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(items) == 0 {
				break
			}
			if len(items) > 64 || c.After() != seen.after {
				t.Fatalf("%d items; the cursor is behind %d, saw %d", len(items), c.After(), seen.after)
			}
		}
		if seen.after != 3001 {
			t.Errorf("from %d the cursor came to %d", after, seen.after)
		}
	}
}

// TestShared checks that watchers share what was made of a transaction.
func TestShared(t *testing.T) {
	w := newWriter(t, 0)
	made := 0
	for range 3 {
		c := w.open(0)
		items, err := c.Take(10)
		if err != nil || len(items) != 1 {
			t.Fatalf("%d items, %v", len(items), err)
		}
		items[0].Share(func(*fsm.Transaction) any { made++; return made })
	}
	if made != 1 {
		t.Errorf("it was made %d times", made)
	}
}

// TestResets checks that a snapshot, even one that takes the node back, makes nobody see a
// revision twice or miss one.
func TestResets(t *testing.T) {
	w := newWriter(t, 0)
	early, c := w.snapshot(), w.open(0)
	var seen watched
	take := func(want uint64) {
		t.Helper()
		items, err := c.Take(1000)
		if err == nil {
			err = seen.see(items)
		}
		if err != nil || seen.after != want {
			t.Fatalf("seen up to %d, %v; want %d", seen.after, err, want)
		}
	}
	again := func(from, to uint64) { // the log, an entry a revision
		for r := from; r <= to; r++ {
			w.bump(1)
		}
	}
	again(2, 11)
	take(11)
	w.reset(early) // late: this node is at revision 1 again
	take(11)
	again(2, 6) // old news
	take(11)
	again(7, 16)
	take(16)
	w.bump(3)
	w.reset(w.snapshot())
	w.bump(2)
	take(21)
}

func TestCompacted(t *testing.T) {
	w := newWriter(t, 10)
	c := w.open(1)
	w.bump(2000)
	w.reset(w.snapshot()) // else the window would still have some
	if _, err := c.Take(1); !errors.Is(err, feed.ErrCompacted) {
		t.Errorf("a cursor behind what is kept is told %v", err)
	}
	r, _ := w.machine.View().Registry(registry)
	late := w.open(r.OldestRevision() - 1)
	if items, err := late.Take(1); err != nil || len(items) != 1 || items[0].Transaction.Revision != r.OldestRevision() {
		t.Errorf("the oldest revision gave %v, %v", items, err)
	}
}

// TestRegistryToCome opens a cursor on a node that does not have the registry yet.
func TestRegistryToCome(t *testing.T) {
	w := newWriter(t, 0)
	c := w.feed.Open("late", 0)
	defer c.Close()
	if items, err := c.Take(1); len(items) != 0 || err != nil {
		t.Errorf("before it exists: %v, %v", items, err)
	}
	w.apply(fsm.Command{Registry: "late", Op: fsm.Put{Entity: fsm.Entity{
		ID: "b", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: "B"}}})
	if items, err := c.Take(1); len(items) != 1 || err != nil {
		t.Errorf("once it exists: %v, %v", items, err)
	}
}

// TestOldTransactionsAreShared has many come back at once, far behind: what they are given is
// read, and made, once.
func TestOldTransactionsAreShared(t *testing.T) {
	w := newWriter(t, 0)
	for range 30 {
		w.bump(100)
	}
	var made atomic.Int64
	var group sync.WaitGroup
	for i := range 20 {
		c := w.open(uint64(i))
		group.Go(func() {
			for {
				items, err := c.Take(50)
				if err != nil {
					t.Error(err)
				}
				if len(items) == 0 {
					return
				}
				for _, item := range items {
					item.Share(func(*fsm.Transaction) any { return made.Add(1) })
				}
			}
		})
	}
	group.Wait()
	if n := made.Load(); n != 3001 {
		t.Errorf("%d events were made for 3001 transactions and 20 cursors", n)
	}
}

// TestUnwatchedIsThere checks that what nobody watched is there for whoever comes later.
func TestUnwatchedIsThere(t *testing.T) {
	w := newWriter(t, 0)
	w.bump(10)
	c := w.open(1)
	if items, err := c.Take(20); len(items) != 10 || err != nil {
		t.Errorf("from before the first watcher came: %d transactions, %v", len(items), err)
	}
	w.bump(1)
	first, err := w.open(11).Take(1)
	second, err2 := w.open(11).Take(1)
	if err != nil || err2 != nil || first[0] != second[0] {
		t.Errorf("a transaction that two watch is not shared; %v, %v", err, err2)
	}
}

// TestWaiting checks that those who wait are woken, that those of another registry are not,
// and that an end of waiting is told.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(t, 0)
		w.apply(fsm.Command{Registry: "other", Op: fsm.Put{Entity: fsm.Entity{
			ID: "b", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: "B"}}})
		ctx, cancel := context.WithCancel(t.Context())
		go w.feed.Run(ctx)
		other := w.feed.Open("other", 1)
		defer other.Close()
		synctest.Wait()
		quiet := other.Changed()
		got := make(chan int)
		for range 10 {
			c := w.open(1)
			go func() {
				items, _ := c.Next(ctx, 100)
				got <- len(items)
			}()
		}
		future := w.open(100)
		go func() {
			items, err := future.Next(ctx, 1)
			if len(items) != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("a cursor of the future got %v, %v", items, err)
			}
			got <- 0
		}()
		synctest.Wait()
		w.bump(3)
		for range 10 {
			if n := <-got; n != 3 {
				t.Errorf("a cursor that waited got %d transactions", n)
			}
		}
		select {
		case <-quiet:
			t.Error("the watchers of a registry were woken for another")
		default:
		}
		cancel()
		<-got
	})
}

// TestPace checks that many watchers are woken less often than transactions come, and get
// all of them.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watchers, bumps = 1000, 200
		w := newWriter(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var group, watching sync.WaitGroup
		group.Go(func() { w.feed.Run(ctx) })
		rounds := make([]int, watchers)
		for i := range watchers {
			c := w.open(1)
			watching.Go(func() {
				for c.After() < 1+bumps {
					if _, err := c.Next(ctx, 1000); err != nil {
						t.Error(err)
						return
					}
					rounds[i]++
				}
			})
		}
		for range bumps {
			w.bump(1)
			<-time.After(time.Millisecond)
		}
		watching.Wait()
		cancel()
		group.Wait()
		for _, n := range rounds {
			if n > bumps/5 {
				t.Fatalf("a watcher was woken %d times for %d transactions", n, bumps)
			}
		}
	})
}

// TestWhoIsBusyDoesNotCount checks that those who do not wait, stuck with a caller who takes nothing, slow
// nobody down.
func TestWhoIsBusyDoesNotCount(t *testing.T) {
	w := newWriter(t, 0)
	for range 5 {
		w.open(1)
	}
	waiting := w.open(1)
	for round := range 3 {
		waiting.Changed()
		waiting.Changed() // asks for the same
		w.bump(1)
		if n := w.feed.Tell(); n != 1 {
			t.Errorf("round %d: %d were woken, one waits", round, n)
		}
	}
	w.bump(1)
	if n := w.feed.Tell(); n != 0 {
		t.Errorf("%d were woken, nobody waits", n)
	}
}

// TestHammer has watchers come and go, at random places, while transactions and snapshots
// come. It is for the race detector.
func TestHammer(t *testing.T) {
	w := newWriter(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { w.feed.Run(ctx) })
	const last = 3001
	var watchers sync.WaitGroup
	for id := range 16 {
		watchers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(id)))
			seen := watched{after: random.Uint64N(500)}
			for seen.after < last {
				c := w.feed.Open(registry, seen.after)
				for range random.IntN(20) {
					if seen.after >= last {
						break
					}
					items, err := c.Next(ctx, 1+random.IntN(50))
					if err == nil {
						err = seen.see(items)
					}
					if err != nil {
						t.Error(err)
						break
					}
				}
				c.Close()
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 99))
	for left := last - 1; left > 0; {
		n := min(1+random.IntN(40), left)
		w.bump(n)
		left -= n
		if random.IntN(20) == 0 {
			w.reset(w.snapshot())
		}
	}
	watchers.Wait()
	cancel()
	group.Wait()
}
