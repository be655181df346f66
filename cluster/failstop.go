package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// ErrDiskFailed says that the disk of a node erred, hung, or gave back other than what was
// written. The error that wraps it names the file, the operation and the index. The node
// does not go on with such a disk.
var ErrDiskFailed = errors.New("the disk of the node failed")

const (
	// A call of the disk that is under way for so many ticks has stalled. Only ticks that
	// ran count, so that a process that was paused is not taken for a disk that hangs.
	stallTick  = 100 * time.Millisecond
	stallTicks = 80
)

// failStop stands between raft and the stores of a node, so that a node that meets a bad
// disk stops instead of lying. The first error poisons it: every later call returns that
// one, and the node is told to stop. A call that hangs poisons it, too; whoever waits for
// a write that hangs gets the error, and when the write lands later nobody hears of it.
//
// It is a raft.LogStore and a raft.StableStore. Its methods may be called concurrently: entries
// are stored, and removed at the end, by one goroutine at a time, as raft does; at the beginning
// they are removed beside that, when a snapshot has been taken.
type failStop struct {
	log       raft.LogStore
	stable    raft.StableStore
	snapshots raft.SnapshotStore
	file      string // what errors call the stores
	retained  int    // snapshots whose log compaction leaves
	checked   bool   // every entry was read when the log was opened

	failed func(error)                            // told of the first failure, by whoever met it; may be nil
	wrote  func(op operation, took time.Duration) // told of every write; may be nil

	writes chan func() // taken by a goroutine that has nothing to do, see work

	mu        sync.Mutex
	err       error                   // the first failure
	poisoned  chan struct{}           // closed with it
	underway  map[*operation]struct{} // calls of the stores that have not returned
	span      span                    // of the log
	deletions uint64                  // of entries, counted when they begin
}

// span is what a log holds: all entries from first to last. A log without entries has zeros.
type span struct{ first, last uint64 }

// without returns what is left when the entries at one end, or all, are removed. Those that are asked for
// may have gone meanwhile.
func (s span) without(from, to uint64) span {
	switch {
	case s.empty() || to < s.first || from > s.last:
		return s
	case from > s.first:
		return span{s.first, from - 1}
	case to < s.last:
		return span{max(s.first, to+1), s.last}
	}
	return span{}
}

func (s span) empty() bool                { return s.last == 0 }
func (s span) holds(index uint64) bool    { return index > 0 && s.first <= index && index <= s.last }
func (s span) leads(from, to uint64) bool { return from > to || s.holds(from) && s.holds(to) }

// operation is a call of a store, for messages and for the watchdog.
type operation struct {
	what     string
	from, to uint64 // entries of the log; zeros for other calls
	ticks    int    // of the watchdog, while it was under way; under the mutex of failStop
}

// String is what the operation does, as a message tells it.
func (o operation) String() string {
	switch {
	case o.to == 0:
		return o.what
	case o.from == o.to:
		return fmt.Sprintf("%s log entry %d", o.what, o.to)
	}
	return fmt.Sprintf("%s log entries %d to %d", o.what, o.from, o.to)
}

// openFailStop puts the stores of a node behind a failStop.
func openFailStop(s *Storage) (*failStop, error) {
	f := &failStop{
		log: s.Log, stable: s.Stable, snapshots: s.Snapshots, file: s.Name, retained: s.Retained, checked: s.Checked,
		writes: make(chan func()), poisoned: make(chan struct{}), underway: make(map[*operation]struct{}),
	}
	if f.file == "" {
		f.file = "the log"
	}
	op := operation{what: "finding the ends of the log"}
	err := f.read(op, func() (err error) {
		if f.span.first, err = f.log.FirstIndex(); err == nil {
			f.span.last, err = f.log.LastIndex()
		}
		return err
	})
	if err != nil {
		return nil, f.fail(op, err)
	}
	return f, nil
}

// failure returns why the disk is not used any more; nil while it is.
func (s *failStop) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail poisons the stores, and returns what poisoned them first.
func (s *failStop) fail(op operation, cause error) error {
	s.mu.Lock()
	first := s.err == nil
	if first {
		s.err = fmt.Errorf("%w: %s: %s: %w", ErrDiskFailed, s.file, op, cause)
		close(s.poisoned)
	}
	err := s.err
	s.mu.Unlock()
	if first && s.failed != nil {
		s.failed(err)
	}
	return err
}

// begin notes that a call is under way, unless the disk has failed.
func (s *failStop) begin(op operation) (*operation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	s.underway[&op] = struct{}{}
	return &op, nil
}

// end undoes begin when the call has returned.
func (s *failStop) end(op *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.underway, op)
}

// busy reports whether calls of the stores have not returned.
func (s *failStop) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.underway) > 0
}

// write carries out a call that changes what is on the disk. It returns when the call
// does, or as soon as the disk has failed; then, whatever comes of the call, with the failure.
func (s *failStop) write(op operation, do func() error) error {
	note, err := s.begin(op)
	if err != nil {
		return err
	}
	began := time.Now()
	done := make(chan error, 1)
	carryOut := func() {
		err := guarded(do)
		s.end(note)
		done <- err
	}
	select {
	case s.writes <- carryOut:
	default:
		go carryOut() // outlives write only if the disk hangs
	}
	select {
	case err = <-done:
	case <-s.poisoned:
		return s.failure()
	}
	if err != nil {
		return s.fail(op, err)
	}
	if s.wrote != nil {
		s.wrote(op, time.Since(began))
	}
	return s.failure()
}

// work carries out writes until ctx ends, one at a time: a goroutine that has done one has the stack for the next, and
// to grow it anew for each would take longer than all else that a small write does but to wait for the disk. What
// finds it busy, or not there yet, has a goroutine of its own.
func (s *failStop) work(ctx context.Context) {
	for {
		select {
		case carryOut := <-s.writes:
			carryOut()
		case <-ctx.Done():
			return
		}
	}
}

// read carries out a call that changes nothing, and returns the error of the store.
func (s *failStop) read(op operation, do func() error) error {
	note, err := s.begin(op)
	if err != nil {
		return err
	}
	defer s.end(note)
	return guarded(do)
}

// guarded makes an error of a panic: the library reads the file through memory, where a
// page that is damaged or cannot be read shows itself as one.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("the file cannot be read: %v", reason)
		}
	}()
	return do()
}

// watch looks for calls that hang, until ctx ends.
func (s *failStop) watch(ctx context.Context) {
	tick := time.NewTicker(stallTick)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.tick()
		case <-ctx.Done():
			return
		}
	}
}

// tick counts one tick to every call that is under way.
func (s *failStop) tick() {
	var stalled *operation
	s.mu.Lock()
	for op := range s.underway {
		if op.ticks++; op.ticks >= stallTicks {
			stalled = op
		}
	}
	s.mu.Unlock()
	if stalled != nil {
		s.fail(*stalled, fmt.Errorf("it did not return within %v", stallTicks*stallTick))
	}
}
