package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
)

// adapter is the one raft.FSM: it feeds the log to the machine and publishes a view
// after each batch. raft calls Apply, ApplyBatch, Snapshot, Restore and
// StoreConfiguration from one goroutine, which is thereby the machine's only writer.
type adapter struct {
	machine   *fsm.Machine
	published atomic.Pointer[published]
	feed      *feed.Feed
	marks     marks           // what the state was, for the check for divergence
	life      context.Context // of the node: nobody waits for a state any longer
	leisure   context.Context // ends when the node stops: what is still being written then need not spare anybody
	hurry     func()          // ends it
	broken    error           // why no entry may be applied any more; the FSM goroutine's
	fail      func(error)     // tells the node to stop; called at most once

	// altered is nil but in tests, which make it change what this node's machine is given
	// of an entry, to have it differ from the others.
	altered func(index uint64, entry fsm.Entry) fsm.Entry

	logged       atomic.Int64 // weight of the log applied since the last snapshot began
	snapshotSize atomic.Int64 // bytes of the last snapshot, taken or restored
	replaced     atomic.Int64 // how often the state was replaced by a snapshot
	givenUp      atomic.Int64 // snapshots, since the state that they are of was replaced
}

// published is one state that readers may see. Index and view belong together: a
// reader that waits for an index must read from the very view that satisfied it,
// because a snapshot that is installed late can take the machine back.
type published struct {
	view  fsm.View
	newer chan struct{} // closed when the next one is published
}

func newAdapter(life context.Context, fail func(error)) *adapter {
	a := &adapter{machine: fsm.New(), life: life, fail: fail}
	a.leisure, a.hurry = context.WithCancel(life)
	a.feed = feed.New(a.machine.View())
	a.published.Store(&published{a.machine.View(), make(chan struct{})})
	return a
}

func (a *adapter) view() fsm.View { return a.published.Load().view }

// publish makes the machine's state the one that readers see.
func (a *adapter) publish() fsm.View {
	view := a.machine.View()
	old := a.published.Swap(&published{view, make(chan struct{})})
	close(old.newer)
	return view
}

// wait returns the first view seen that holds enough, ctx's error, or [ErrShuttingDown].
func (a *adapter) wait(ctx context.Context, enough func(fsm.View) bool) (fsm.View, error) {
	for {
		p := a.published.Load()
		if enough(p.view) {
			return p.view, nil
		}
		select {
		case <-p.newer:
		case <-ctx.Done():
			return fsm.View{}, ctx.Err()
		case <-a.life.Done():
			return fsm.View{}, ErrShuttingDown
		}
	}
}

// ApplyBatch applies committed entries. The response to a command entry is its
// []fsm.Result, or an error if the node is stopping for want of understanding it.
func (a *adapter) ApplyBatch(logs []*raft.Log) []any {
	responses := make([]any, len(logs))
	var news [][]fsm.Result
	for i, l := range logs {
		if l.Type == raft.LogCommand {
			responses[i] = a.apply(l)
			results, _ := responses[i].([]fsm.Result)
			a.logged.Add(weigh(l, results))
			if results != nil {
				news = append(news, results)
			}
		}
	}
	a.feed.Publish(a.publish(), news...)
	return responses
}

// The log weighs what it costs to come back from it: the bytes that are read and checked, and what stands
// for the time of the rest, at 64 MiB a second. To find an entry and to read it, which the library does
// three times, takes some 30 µs, and to apply one change again some 8 µs.
const (
	entryWeight  = 2 << 10
	changeWeight = 512
)

// weigh returns the weight of an entry in the log. A command that changes nothing counts as one change.
func weigh(l *raft.Log, results []fsm.Result) int64 {
	changes := 0
	for i := range results {
		moved := 1
		if t := results[i].Transaction; t != nil && !results[i].Replayed {
			moved = len(t.Changes)
		}
		changes += moved
	}
	return int64(len(l.Data)) + entryWeight + changeWeight*int64(changes)
}

// apply applies one entry. An entry that this node cannot read must not be skipped,
// since others apply it: nothing is applied any more, and the node stops.
func (a *adapter) apply(l *raft.Log) any {
	if a.broken != nil {
		return a.broken
	}
	entry, err := fsm.DecodeEntry(l.Data)
	if err != nil {
		a.broken = fmt.Errorf("log entry %d of term %d: %w", l.Index, l.Term, err)
		a.fail(a.broken)
		return a.broken
	}
	if a.altered != nil {
		entry = a.altered(l.Index, entry)
	}
	results := a.machine.Apply(l.Index, entry)
	a.marks.add(mark{l.Index, a.machine.StateHash()})
	return results
}

// Apply applies one entry; raft prefers ApplyBatch.
func (a *adapter) Apply(l *raft.Log) any { return a.ApplyBatch([]*raft.Log{l})[0] }

// StoreConfiguration does nothing. That it exists lets raft take a snapshot right
// after a change of membership.
func (a *adapter) StoreConfiguration(uint64, raft.Configuration) {}

// Snapshot returns the state as it is, in O(1); it is written beside later applies.
func (a *adapter) Snapshot() (raft.FSMSnapshot, error) {
	if a.broken != nil {
		return nil, a.broken
	}
	return &snapshot{view: a.machine.View(), adapter: a, logged: a.logged.Swap(0), replaced: a.replaced.Load()}, nil
}

// Restore replaces the machine by that of a snapshot.
func (a *adapter) Restore(r io.ReadCloser) error {
	defer r.Close()
	counted := &countingReader{r: r}
	m, err := fsm.Restore(counted)
	if err != nil {
		return fmt.Errorf("restoring a snapshot: %w", err)
	}
	a.become(m, counted.n)
	return nil
}

// become replaces the machine by one that comes from a snapshot of so many bytes.
func (a *adapter) become(m *fsm.Machine, size int64) {
	a.machine = m
	a.marks.restart(mark{m.View().Index(), m.StateHash()})
	a.logged.Store(0)
	a.snapshotSize.Store(size)
	a.replaced.Add(1)
	a.feed.Reset(a.publish())
}

// snapshot is a view on its way to disk.
type snapshot struct {
	view     fsm.View
	adapter  *adapter
	logged   int64 // weight of the log that it is to make up for
	replaced int64 // of the adapter, when it began
	taken    bool  // or of no use any more
}

// errReplaced says that a snapshot is of a state that this node has no more.
var errReplaced = errors.New("the node was given a snapshot while it took one")

// Persist writes the snapshot out. One that is finished after the node was given another is of no
// use: the library would take it for the newest, and as the leader send a follower, again and again,
// the one that was given, since its log leads on from that alone. It is not finished, or it would push
// another out of those that are retained. If the other comes just then, it stays until the next one is
// taken, and does no harm: it is older, and a node comes back with an older one only where the log leads from
// there to the newest.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	size, err := s.view.WriteTo(newPacedWriter(s.adapter.leisure, sink))
	if err != nil {
		return errors.Join(err, sink.Cancel())
	}
	if s.overtaken() {
		return errors.Join(errReplaced, sink.Cancel())
	}
	if err := sink.Close(); err != nil {
		return err
	}
	if s.overtaken() {
		return errReplaced
	}
	s.taken = true
	s.adapter.snapshotSize.Store(size)
	return nil
}

// overtaken reports whether the node was given another snapshot meanwhile. The log that this one is to make
// up for is gone then.
func (s *snapshot) overtaken() bool {
	if s.adapter.replaced.Load() == s.replaced {
		return false
	}
	s.taken = true
	s.adapter.givenUp.Add(1)
	return true
}

// Release counts the log again if no snapshot came of it, so that one is taken soon.
func (s *snapshot) Release() {
	if !s.taken {
		s.adapter.logged.Add(s.logged)
	}
}
