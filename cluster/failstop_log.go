package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// The log behind a failStop has no holes, and each entry carries a checksum.

// FirstIndex returns the index of the first entry, 0 for none.
func (s *failStop) FirstIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.span.first, s.err
}

// LastIndex returns the index of the last entry, 0 for none.
func (s *failStop) LastIndex() (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.span.last, s.err
}

// GetLog reads an entry. One that the log does not reach is raft.ErrLogNotFound; one that
// should be there and is not, or is not as it was written, is a failure of the disk.
func (s *failStop) GetLog(index uint64, l *raft.Log) error {
	op := operation{what: "reading", from: index, to: index}
	for {
		s.mu.Lock()
		err, within, deletions := s.err, s.span.holds(index), s.deletions
		s.mu.Unlock()
		if err != nil {
			return err
		} else if !within {
			return raft.ErrLogNotFound
		}
		err = s.read(op, func() error { return s.log.GetLog(index, l) })
		if err == nil {
			err = unseal(l, index)
		}
		if err == nil {
			return nil
		}
		s.mu.Lock()
		deleted := s.deletions != deletions
		s.mu.Unlock()
		switch missing := errors.Is(err, raft.ErrLogNotFound); {
		case missing && deleted: // while it was read
		case missing:
			return s.fail(op, errors.New("it is missing, though the log has entries before and behind it"))
		default:
			return s.fail(op, err)
		}
	}
}

// StoreLog writes an entry.
func (s *failStop) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries that follow each other. Those that do not follow the log come
// behind a snapshot that was installed: what was there before goes, so that no hole stays.
func (s *failStop) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	from, to := logs[0].Index, logs[len(logs)-1].Index
	if first, last, gap := s.gap(logs); gap {
		if err := s.remove(first, last); err != nil {
			return err
		}
	}
	sealed := sealAll(logs)
	if err := s.write(operation{what: "storing", from: from, to: to}, func() error { return s.log.StoreLogs(sealed) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.span.empty() { // compaction may have moved the beginning meanwhile
		s.span.first = from
	}
	s.span.last = max(s.span.last, to)
	return nil
}

// gap reports whether entries would leave a hole behind the log, and what the log has.
func (s *failStop) gap(logs []*raft.Log) (first, last uint64, gap bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.span.first, s.span.last, len(logs) > 0 && !s.span.empty() && logs[0].Index > s.span.last+1
}

// DeleteRange removes entries: at the end of the log, if they reach it, those that conflict
// with the leader's, and otherwise at its beginning, because a snapshot holds them. Of those
// it leaves what the oldest snapshot that is retained needs to become the present state.
func (s *failStop) DeleteRange(from, to uint64) error {
	s.mu.Lock()
	log := s.span
	s.mu.Unlock()
	if log.empty() || from > log.last || to < log.first {
		return nil
	}
	if to >= log.last {
		return s.remove(max(from, log.first), log.last)
	}
	if from > log.first {
		return fmt.Errorf("removing log entries %d to %d would leave a hole in the log, which has %d to %d", from, to, log.first, log.last)
	}
	held, err := s.held()
	if err != nil {
		return fmt.Errorf("finding out which log the snapshots need: %w", err)
	}
	if to = min(to, held); to < log.first {
		return nil
	}
	return s.compact(log.first, to)
}

// Nothing else is written while entries are removed. So thousands of them are removed in so many steps, which writes can
// come between; not in more, since each step is two syncs, and the node does not stop meanwhile.
const (
	compactionSteps = 8
	compactionLeast = 128 // entries in each but the last
)

// compact removes entries at the beginning of the log, the oldest first: it has no hole if not all steps come to be.
func (s *failStop) compact(from, to uint64) error {
	step := max((to-from)/compactionSteps+1, compactionLeast)
	for ; from <= to; from += step {
		if err := s.remove(from, min(from+step-1, to)); err != nil {
			return err
		}
	}
	return nil
}

// held returns up to which index the log is held by every snapshot that is retained.
func (s *failStop) held() (uint64, error) {
	var taken []*raft.SnapshotMeta
	err := s.read(operation{what: "listing the snapshots"}, func() (err error) { taken, err = s.snapshots.List(); return err })
	oldest := max(s.retained, 1) - 1
	if err != nil || len(taken) <= oldest {
		return 0, err
	}
	return taken[oldest].Index, nil
}

// remove removes entries at one end of the log. Nobody looks for them from then on. What is written
// at the other end meanwhile stays: compaction runs beside the writes.
func (s *failStop) remove(from, to uint64) error {
	s.mu.Lock()
	s.span = s.span.without(from, to)
	s.deletions++
	s.mu.Unlock()
	return s.write(operation{what: "removing", from: from, to: to}, func() error { return s.log.DeleteRange(from, to) })
}

// check reads the whole log, unless that was done when it was opened: each entry must be there, and
// as it was written. It returns the last one, zero if there is none.
func (s *failStop) check() (last raft.Log, err error) {
	s.mu.Lock()
	log := s.span
	s.mu.Unlock()
	if log.empty() {
		return last, nil
	}
	first := log.first
	if s.checked {
		first = log.last
	}
	for index := first; index <= log.last; index++ {
		before := last
		last = raft.Log{}
		if err := s.GetLog(index, &last); err != nil {
			return last, err
		}
		if err := follows(before, last); err != nil {
			return last, s.fail(operation{what: "reading", from: index, to: index}, err)
		}
	}
	return last, nil
}

// follows checks that an entry can come after another, zero for none.
func follows(before, l raft.Log) error {
	if l.Term < before.Term {
		return fmt.Errorf("entry %d is of term %d, and the one before of %d", l.Index, l.Term, before.Term)
	}
	return nil
}
