package cluster

import (
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// A snapshot that a node takes is written beside everything else: one that cannot be written is
// tried again, and one that hangs holds nothing up but the next one. One that a leader sends is
// written by raft's main goroutine, which does nothing else meanwhile: if the disk hangs there,
// the node has stalled and must stop. An error is answered to the leader, which tries again; the node
// says why it is not ready meanwhile.

// watchedSnapshots are the snapshots as raft sees them: without those that were passed over when
// the node came back, and with the watchdog looking at the writes of those that are installed.
type watchedSnapshots struct {
	raft.SnapshotStore
	disk   *failStop
	passed []faulty
	given  func(error) // told what came of each snapshot that was sent
}

// List returns the snapshots, the newest first.
func (s watchedSnapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.SnapshotStore.List()
	return slices.DeleteFunc(all, func(m *raft.SnapshotMeta) bool {
		return slices.ContainsFunc(s.passed, func(f faulty) bool { return f.id == m.ID })
	}), err
}

// Create begins a snapshot. One beyond the end of the log is one that was sent.
func (s watchedSnapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (sink raft.SnapshotSink, err error) {
	last, err := s.disk.LastIndex()
	if err != nil {
		return nil, err
	}
	if index <= last {
		return s.SnapshotStore.Create(version, index, term, c, cIndex, t)
	}
	err = s.disk.read(operation{what: "beginning a snapshot that was sent"}, func() (err error) {
		sink, err = s.SnapshotStore.Create(version, index, term, c, cIndex, t)
		return err
	})
	if err != nil {
		s.given(err)
		return nil, err
	}
	return watchedSink{sink, s.disk, s.given}, nil
}

// watchedSink is a snapshot that was sent, on its way to disk.
type watchedSink struct {
	raft.SnapshotSink
	disk  *failStop
	given func(error)
}

// Write writes a part of it.
func (w watchedSink) Write(b []byte) (n int, err error) {
	err = w.disk.read(operation{what: "writing a snapshot that was sent"}, func() error { n, err = w.SnapshotSink.Write(b); return err })
	if err != nil {
		w.given(err)
	}
	return n, err
}

// Close finishes it.
func (w watchedSink) Close() error {
	err := w.disk.read(operation{what: "finishing a snapshot that was sent"}, w.SnapshotSink.Close)
	w.given(err)
	return err
}

// unwritten is why a snapshot that was sent could not be written, and where the log ended then.
type unwritten struct {
	err  error
	last uint64
}

// snapshotGiven notes what came of a snapshot that was sent.
func (n *Node) snapshotGiven(err error) {
	if err == nil {
		n.unwritten.Store(nil)
		return
	}
	last, _ := n.disk.LastIndex() // without a disk the node is about to end
	n.unwritten.Store(&unwritten{err, last})
	n.snapshotsFailed.Add(1)
	n.log.Error("snapshot_failed", "error", err)
}

// unstored says why this node cannot write what it must; "" if it can. A snapshot that could not be written is not
// needed any more once the log goes on: another leader may have had what this one had not.
func (n *Node) unstored() string {
	if u := n.unwritten.Load(); u != nil {
		if last, err := n.disk.LastIndex(); err == nil && last == u.last {
			return fmt.Sprintf("a snapshot that the leader sent could not be written: %v", u.err)
		}
	}
	if n.full.Load() {
		return ErrStorageFull.Error()
	}
	return ""
}
