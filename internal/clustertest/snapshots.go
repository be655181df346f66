package clustertest

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// retained is how many snapshots a node keeps, as on a real disk.
const retained = 2

// snapshots are those of a node, in memory. As on a real disk it keeps the newest that are finished,
// whichever was finished last: one that a node takes of itself may be finished behind a newer one that
// it was given meanwhile, and one that was given may have been long on its way. The library's own
// store in memory knows only the one that was begun last, even if the log does not lead on from it.
type snapshots struct {
	mu   sync.Mutex
	kept []*raft.InmemSnapshotStore // of one snapshot each, the newest first
}

// Create begins a snapshot.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	one := raft.NewInmemSnapshotStore()
	sink, err := one.Create(version, index, term, c, cIndex, t)
	return finishing{sink, func() { s.keep(one) }}, err
}

// keep keeps a snapshot if it is one of the newest.
func (s *snapshots) keep(one *raft.InmemSnapshotStore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, one)
	slices.SortStableFunc(s.kept, func(a, b *raft.InmemSnapshotStore) int {
		x, y := metaOf(a), metaOf(b)
		return cmp.Or(cmp.Compare(y.Term, x.Term), cmp.Compare(y.Index, x.Index))
	})
	s.kept = s.kept[:min(len(s.kept), retained)]
}

// metaOf returns what a store notes of its only snapshot.
func metaOf(one *raft.InmemSnapshotStore) *raft.SnapshotMeta {
	all, _ := one.List() // never fails
	return all[0]
}

// List returns the snapshots, the newest first.
func (s *snapshots) List() (all []*raft.SnapshotMeta, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.kept {
		all = append(all, metaOf(one))
	}
	return all, nil
}

// Open opens a snapshot.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.kept {
		if metaOf(one).ID == id {
			return one.Open(id)
		}
	}
	return nil, nil, fmt.Errorf("there is no snapshot %s", id)
}

// finishing is a snapshot that is being written.
type finishing struct {
	raft.SnapshotSink
	finished func()
}

// Close finishes the snapshot.
func (f finishing) Close() error {
	err := f.SnapshotSink.Close()
	f.finished()
	return err
}
