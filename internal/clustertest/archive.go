package clustertest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// Archive keeps what the nodes of a cluster write to their logs, also after a log has let go
// of it. What a state machine makes of it is what must have happened, whatever the nodes say.
//
// It holds each entry by index and term, with the term of the entry before it. By the log
// matching property of Raft (section 5.3 of the paper) two logs that have an entry of one
// index and term are equal up to it, so from one entry that is known to be committed the way
// back is unique. The archive notes every place where that does not hold.
type Archive struct {
	mu      sync.Mutex
	entries map[place]*entry
	logs    []*archived // of the nodes, each in its present life
	taken   int
	given   int
	faults  []error
}

// place is where an entry is in a log.
type place struct{ index, term uint64 }

// entry is what is at a place.
type entry struct {
	log    raft.Log
	before uint64 // the term of the entry at the index before
}

// NewArchive returns an archive that keeps nothing yet.
func NewArchive() *Archive { return &Archive{entries: make(map[place]*entry)} }

// Keep has the archive keep what a node writes from its next start on. It is to be called
// again after [Node.Wipe].
func (a *Archive) Keep(n *Node) {
	s := &archived{LogStore: n.Log, archive: a, node: n, terms: map[uint64]uint64{0: 0}}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, old := range a.logs {
		if old.node == n {
			a.logs = append(a.logs[:i], a.logs[i+1:]...)
			break
		}
	}
	a.logs = append(a.logs, s)
	n.Log = s
	n.Snapshots = counted{n.Snapshots, a, s, n.Store}
}

// Snapshots returns how many snapshots the nodes took of their own state, and how many they
// were given by a leader.
func (a *Archive) Snapshots() (taken, given int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken, a.given
}

// Replay applies the entries up to an index, which a running node has applied, to a machine
// of its own. each, which may be nil, is given the state after each of them, and its results.
// It returns the state in the end.
func (a *Archive) Replay(index uint64, each func(fsm.View, []fsm.Result)) (fsm.View, error) {
	entries, err := a.Entries(index)
	if err != nil {
		return fsm.View{}, err
	}
	m := fsm.New()
	for _, e := range entries {
		results := m.Apply(e.Index, e.Entry)
		if each != nil {
			each(m.View(), results)
		}
	}
	return m.View(), nil
}

// Applied is a log entry for the state machine.
type Applied struct {
	Index uint64
	Entry fsm.Entry
}

// Entries returns the entries for the state machine up to an index that a running node has
// applied.
func (a *Archive) Entries(index uint64) ([]Applied, error) {
	chain, err := a.committed(index)
	if err != nil {
		return nil, err
	}
	return commands(chain)
}

// Written returns the entries for the state machine that are in a node's log, or were, those
// that are not committed among them.
func (a *Archive) Written(n *Node) ([]Applied, error) {
	a.mu.Lock()
	var chain []*entry
	err := fmt.Errorf("the archive does not keep the log of %s", n.ID)
	for _, s := range a.logs {
		if s.node == n {
			chain, err = a.back(s.last, s.terms[s.last])
		}
	}
	a.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return commands(chain)
}

func commands(chain []*entry) (all []Applied, err error) {
	for _, e := range chain {
		if e.log.Type != raft.LogCommand {
			continue
		}
		decoded, err := fsm.DecodeEntry(e.log.Data)
		if err != nil {
			return nil, fmt.Errorf("reading log entry %d: %w", e.log.Index, err)
		}
		all = append(all, Applied{e.log.Index, decoded})
	}
	return all, nil
}

// committed returns the entries up to an index that a running node has applied.
func (a *Archive) committed(index uint64) ([]*entry, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	term, known := uint64(0), false
	for _, s := range a.logs {
		if s.node.Running() && s.node.View().Index() >= index && !known {
			term, known = s.terms[index]
		}
	}
	return a.back(index, term)
}

// back returns the entries up to the one of an index and a term.
func (a *Archive) back(index, term uint64) ([]*entry, error) {
	chain := make([]*entry, index)
	for i := index; i > 0; i-- {
		e := a.entries[place{i, term}]
		if e == nil {
			return nil, fmt.Errorf("the archive has no log entry %d of term %d", i, term)
		}
		chain[i-1], term = e, e.before
	}
	return chain, nil
}

// Check holds the logs of all running nodes that have applied an index against each other:
// up to that index all that they ever wrote, and what they still have, is the same in each.
// It returns every place where that, or the log matching property anywhere, does not hold.
func (a *Archive) Check(index uint64) []error {
	chain, err := a.committed(index)
	if err != nil {
		return []error{err}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	faults := append([]error(nil), a.faults...)
	for _, s := range a.logs {
		if !s.node.Running() || s.node.View().Index() < index {
			continue
		}
		for _, e := range chain {
			i := e.log.Index
			if term, ok := s.terms[i]; ok && term != e.log.Term {
				faults = append(faults, fmt.Errorf("%s wrote log entry %d of term %d where term %d was committed", s.node.ID, i, term, e.log.Term))
			}
			var has raft.Log
			if err := s.node.Store.GetLog(i, &has); err == nil && (has.Term != e.log.Term || !bytes.Equal(has.Data, e.log.Data)) {
				faults = append(faults, fmt.Errorf("%s has log entry %d of term %d, and that of term %d was committed", s.node.ID, i, has.Term, e.log.Term))
			}
		}
	}
	return faults
}

// note notes that a node has written an entry behind what its log has.
func (a *Archive) note(s *archived, l *raft.Log) {
	before, known := s.terms[l.Index-1]
	at := place{l.Index, l.Term}
	old := a.entries[at]
	switch {
	case !known:
		a.faults = append(a.faults, fmt.Errorf("%s wrote log entry %d of term %d behind none: it has up to %d", s.node.ID, l.Index, l.Term, s.last))
	case old == nil:
		a.entries[at] = &entry{*l, before}
	case old.log.Type != l.Type || !bytes.Equal(old.log.Data, l.Data):
		a.faults = append(a.faults, fmt.Errorf("%s wrote another log entry %d of term %d than was written before", s.node.ID, l.Index, l.Term))
	case old.before != before:
		a.faults = append(a.faults, fmt.Errorf("%s wrote log entry %d of term %d behind one of term %d; it was written behind one of term %d before",
			s.node.ID, l.Index, l.Term, before, old.before))
	}
}

// archived is the log of a node that writes to the archive, too.
type archived struct {
	raft.LogStore
	archive *Archive
	node    *Node

	// Guarded by the archive.
	terms map[uint64]uint64 // by index, of what the log has, and of what it has let go of
	last  uint64
}

// StoreLog writes an entry.
func (s *archived) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries. They are the last of the log then.
func (s *archived) StoreLogs(logs []*raft.Log) error {
	if err := s.LogStore.StoreLogs(logs); err != nil {
		return err
	}
	s.archive.mu.Lock()
	defer s.archive.mu.Unlock()
	for _, l := range logs {
		s.archive.note(s, l)
		s.terms[l.Index] = l.Term
	}
	end := logs[len(logs)-1].Index
	for ; s.last > end; s.last-- {
		delete(s.terms, s.last)
	}
	s.last = end
	return nil
}

// counted counts snapshots: one of which the node's own log does not have the last entry was given
// to it.
type counted struct {
	raft.SnapshotStore
	archive *Archive
	log     *archived
	store   *raft.InmemStore
}

// Create begins a snapshot.
func (s counted) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, c, cIndex, t)
	if err != nil {
		return nil, err
	}
	return &countedSink{SnapshotSink: sink, by: s, index: index, term: term}, nil
}

// countedSink is a snapshot that is being written. One that breaks off changes nothing.
type countedSink struct {
	raft.SnapshotSink
	by          counted
	index, term uint64
	complete    bool
}

// Close completes the snapshot, unless it is there without that being known. What the log had up to the end of
// one that was given need not have been committed. A second call does nothing.
func (s *countedSink) Close() error {
	if s.complete {
		return nil
	}
	last, err := s.by.store.LastIndex()
	if err != nil {
		return err
	}
	failed := s.SnapshotSink.Close()
	if failed != nil && !s.kept() {
		return failed
	}
	s.complete = true
	log, archive := s.by.log, s.by.archive
	archive.mu.Lock()
	defer archive.mu.Unlock()
	if own, known := log.terms[s.index]; s.index > last || known && own != s.term {
		archive.given++
		log.terms, log.last = map[uint64]uint64{s.index: s.term}, s.index
	} else {
		archive.taken++
	}
	return failed
}

// kept reports whether the snapshot is there.
func (s *countedSink) kept() bool {
	all, _ := s.by.List() // never fails
	return slices.ContainsFunc(all, func(m *raft.SnapshotMeta) bool { return m.Index == s.index && m.Term == s.term })
}
