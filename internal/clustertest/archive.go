package clustertest

import (
	"fmt"
	"sync"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// Archive keeps what the nodes of a cluster write to their logs, also after a log has let go
// of it. What a state machine makes of it is what must have happened, whatever the nodes say.
type Archive struct {
	mu      sync.Mutex
	entries map[uint64]*raft.Log // by index, the one of the highest term
	taken   int
	given   int
}

// NewArchive returns an archive that keeps nothing yet.
func NewArchive() *Archive { return &Archive{entries: make(map[uint64]*raft.Log)} }

// Keep has the archive keep what a node writes from its next start on. It is to be called
// again after [Node.Wipe].
func (a *Archive) Keep(n *Node) {
	n.Log = archived{n.Log, a}
	n.Snapshots = counted{n.Snapshots, a, n.Store}
}

// Snapshots returns how many snapshots the nodes took of their own state, and how many they
// were given by a leader.
func (a *Archive) Snapshots() (taken, given int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.taken, a.given
}

// Replay applies the entries up to an index that is committed to a machine of its own. each,
// which may be nil, is given the state after each of them, and its results. It returns the
// state in the end.
//
// Of two entries at one committed index the one of the higher term counts: a leader of a
// later term than the one that committed has what was committed.
func (a *Archive) Replay(index uint64, each func(fsm.View, []fsm.Result)) (fsm.View, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := fsm.New()
	for i := uint64(1); i <= index; i++ {
		l := a.entries[i]
		if l == nil {
			return fsm.View{}, fmt.Errorf("the archive has no log entry %d", i)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		entry, err := fsm.DecodeEntry(l.Data)
		if err != nil {
			return fsm.View{}, fmt.Errorf("reading log entry %d: %w", i, err)
		}
		results := m.Apply(i, entry)
		if each != nil {
			each(m.View(), results)
		}
	}
	return m.View(), nil
}

// archived is a log that writes to the archive, too.
type archived struct {
	raft.LogStore
	archive *Archive
}

// StoreLog writes an entry.
func (s archived) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries.
func (s archived) StoreLogs(logs []*raft.Log) error {
	s.archive.mu.Lock()
	for _, l := range logs {
		if old := s.archive.entries[l.Index]; old == nil || old.Term < l.Term {
			kept := *l
			s.archive.entries[l.Index] = &kept
		}
	}
	s.archive.mu.Unlock()
	return s.LogStore.StoreLogs(logs)
}

// counted counts snapshots: one beyond the end of the node's own log was given to it.
type counted struct {
	raft.SnapshotStore
	archive *Archive
	log     *raft.InmemStore
}

// Create begins a snapshot.
func (s counted) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	last, err := s.log.LastIndex()
	if err != nil {
		return nil, err
	}
	s.archive.mu.Lock()
	if index > last {
		s.archive.given++
	} else {
		s.archive.taken++
	}
	s.archive.mu.Unlock()
	return s.SnapshotStore.Create(version, index, term, c, cIndex, t)
}
