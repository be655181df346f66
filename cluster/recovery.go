package cluster

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// recovered is the state that a node comes back with: a snapshot, and the log that leads on
// from it.
type recovered struct {
	machine *fsm.Machine
	index   uint64 // of the snapshot; 0 for none
	size    int64  // bytes of the snapshot
	last    raft.Log

	faults error // why newer snapshots were passed over; nil if none was
	passed []faulty
}

// recover reads the whole log and the newest snapshot that can be used, and checks that the one
// leads on from the other. An older snapshot than the newest is used only if the log leads
// from there to where the newest one was taken: never is what the node had left out.
func (s *failStop) recover() (*recovered, error) {
	r := &recovered{machine: fsm.New()}
	var err error
	if r.last, err = s.check(); err != nil {
		return nil, err
	}
	if err := r.restore(s.snapshots); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDiskFailed, err)
	}
	s.mu.Lock()
	log := s.span
	s.mu.Unlock()
	newest := r.index
	for _, f := range r.passed {
		if f.index == 0 {
			f.index = math.MaxUint64
		}
		newest = max(newest, f.index)
	}
	switch {
	case r.faults != nil && !log.leads(r.index+1, newest):
		return nil, fmt.Errorf("%w: a snapshot cannot be used, and the log, which has entries %d to %d, does not stand in for it: %w",
			ErrDiskFailed, log.first, log.last, r.faults)
	case log.last > r.index && log.first > r.index+1:
		return nil, fmt.Errorf("%w: %s: the log begins at entry %d, and the snapshot ends with entry %d", ErrDiskFailed, s.file, log.first, r.index)
	}
	return r, nil
}

// restore reads the newest snapshot that can be used.
func (r *recovered) restore(store raft.SnapshotStore) error {
	pass := func(f faulty) {
		r.passed = append(r.passed, f)
		r.faults = errors.Join(r.faults, fmt.Errorf("snapshot %s: %w", f.id, f.err))
	}
	if files, ok := store.(interface{ Faulty() ([]faulty, error) }); ok {
		all, err := files.Faulty()
		if err != nil {
			return fmt.Errorf("looking at the snapshots: %w", err)
		}
		for _, f := range all {
			pass(f)
		}
	}
	all, err := store.List()
	if err != nil {
		return fmt.Errorf("listing the snapshots: %w", err)
	}
	for _, meta := range all {
		machine, size, err := readSnapshot(store, meta.ID)
		if err == nil {
			r.machine, r.index, r.size = machine, meta.Index, size
			return nil
		}
		pass(faulty{meta.ID, meta.Index, err})
	}
	return nil
}

// readSnapshot makes a machine of a snapshot, and counts its bytes.
func readSnapshot(store raft.SnapshotStore, id string) (*fsm.Machine, int64, error) {
	_, r, err := store.Open(id)
	if err != nil {
		return nil, 0, err
	}
	counted := &countingReader{r: r}
	machine, err := fsm.Load(counted)
	return machine, counted.n, errors.Join(err, r.Close())
}

// countingReader counts what is read through it.
type countingReader struct {
	r io.Reader
	n int64
}

// Read reads.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// setAside moves snapshots that were passed over out of the way, so that they do not count as
// those that are retained.
func setAside(store raft.SnapshotStore, passed []faulty) error {
	files, ok := store.(interface{ SetAside(id string) error })
	if !ok {
		return nil
	}
	var errs error
	for _, f := range passed {
		errs = errors.Join(errs, files.SetAside(f.id))
	}
	return errs
}
