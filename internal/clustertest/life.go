package clustertest

import (
	"errors"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// life is a node's stores as one of its processes has them. Once that is dead, nothing that is
// left of it in the test reaches them any more.
type life struct {
	raft.LogStore
	raft.StableStore
	disk *Disk
	over atomic.Bool
}

var errDead = errors.New("the process is dead") // immutable

// end ends the process's use of the stores. What hangs in a write may still reach the disk, until
// the node starts again.
func (l *life) end() { l.over.Store(true) }

// kill is end, and what hangs in a write is lost.
func (l *life) kill() {
	l.end()
	l.disk.mu.Lock()
	defer l.disk.mu.Unlock()
	l.disk.deaths++
}

// StoreLog writes an entry.
func (l *life) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs writes entries.
func (l *life) StoreLogs(logs []*raft.Log) error {
	if l.over.Load() {
		return errDead
	}
	return l.LogStore.StoreLogs(logs)
}

// DeleteRange deletes entries.
func (l *life) DeleteRange(first, last uint64) error {
	if l.over.Load() {
		return errDead
	}
	return l.LogStore.DeleteRange(first, last)
}

// Set sets a value. Raft panics where it cannot, so a dead process believes that it did.
func (l *life) Set(key, value []byte) error {
	if l.over.Load() {
		return nil
	}
	return l.StableStore.Set(key, value)
}

// SetUint64 sets a value, as Set does.
func (l *life) SetUint64(key []byte, value uint64) error {
	if l.over.Load() {
		return nil
	}
	return l.StableStore.SetUint64(key, value)
}

// lifeSnapshots are the snapshots that a process has.
type lifeSnapshots struct {
	raft.SnapshotStore
	life *life
}

// Create begins a snapshot.
func (s lifeSnapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	if s.life.over.Load() {
		return nil, errDead
	}
	sink, err := s.SnapshotStore.Create(version, index, term, c, cIndex, t)
	if err != nil {
		return nil, err
	}
	return lifeSink{sink, s.life}, nil
}

// lifeSink is a snapshot that a process writes.
type lifeSink struct {
	raft.SnapshotSink
	life *life
}

// Close finishes the snapshot.
func (s lifeSink) Close() error {
	if s.life.over.Load() {
		return errDead
	}
	return s.SnapshotSink.Close()
}
