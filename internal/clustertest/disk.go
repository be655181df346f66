package clustertest

import (
	"slices"
	"sync"
	"syscall"

	"github.com/hashicorp/raft"
)

// Disk is what a node's stores lie on: its writes can fail and hang. A write is a call of a store
// that changes something: of the log, of the stable store, or of a snapshot (where to begin, each
// part, and to finish it are writes: the last one stands for the sync and the rename). It is safe
// for concurrent use.
type Disk struct {
	mu     sync.Mutex
	writes int     // so far
	fails  int     // the write that fails, counted from 1; 0 for none
	landed bool    // it reaches the store all the same
	err    error   // what it fails with
	failed string  // what it was
	broken int     // faults in force that make writes of the log fail
	gates  []*gate // faults in force that make writes hang
	deaths int     // of processes that were killed; what they had hanging is lost

	errors, held int // writes of the log that failed, and writes that hung
}

// gate is what writes hang at until it is opened.
type gate struct {
	of   func(what string) bool
	open chan struct{}
}

// onDisk puts the stores that a node has now on a disk.
func (n *Node) onDisk() {
	d := &Disk{}
	n.Disk, n.Log, n.Stable = d, diskLog{n.Store, d}, diskStable{n.Store, d}
	n.Snapshots = diskSnapshots{n.Snapshots, d}
}

// FailAt has the nth write from now on fail, once, counted from 1. If landed, it is one that
// fails although it has reached the disk.
func (d *Disk) FailAt(n int, landed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fails, d.landed, d.err, d.failed = d.writes+n, landed, err, ""
}

// Failed returns which write has failed; "" if none has since FailAt.
func (d *Disk) Failed() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Fail makes writes of the log fail, with nothing written, until the returned function is called.
func (d *Disk) Fail() (mend func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.broken++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.broken--
	})
}

// Hang has writes wait until release is called, and then reach the disk, unless their process was
// killed. Those are writes of what names true: "log", "stable" or "snapshot".
func (d *Disk) Hang(of func(what string) bool) (release func()) {
	g := &gate{of, make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gates = append(d.gates, g)
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.gates = slices.DeleteFunc(d.gates, func(o *gate) bool { return o == g })
		close(g.open)
	})
}

// Stall has writes of the log wait.
func (d *Disk) Stall() (resume func()) {
	return d.Hang(func(what string) bool { return what == "log" })
}

// Suffered returns how many writes of the log failed, and how many writes had to wait.
func (d *Disk) Suffered() (failed, held int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.errors, d.held
}

// write is one write.
func (d *Disk) write(what string, do func() error) error {
	fails, landed, err := d.admit(what)
	switch {
	case err != nil:
		return err
	case !fails:
		return do()
	case landed:
		do() // whatever comes of it, it is said to have failed
	}
	return d.err
}

// admit waits until a write need not wait any more, and reports what is to become of it.
func (d *Disk) admit(what string) (fails, landed bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes++
	if fails, landed = d.writes == d.fails, d.landed; fails {
		d.failed = what
	}
	deaths := d.deaths
	for waited := false; ; waited = true {
		i := slices.IndexFunc(d.gates, func(g *gate) bool { return g.of(what) })
		if i < 0 {
			break
		}
		if !waited {
			d.held++
		}
		g := d.gates[i]
		d.mu.Unlock()
		<-g.open
		d.mu.Lock()
	}
	if d.deaths > deaths {
		return false, false, errDead
	}
	if d.broken > 0 && what == "log" {
		d.errors++
		return false, false, syscall.EIO
	}
	return fails, landed, nil
}

// diskLog is a log on a disk.
type diskLog struct {
	raft.LogStore
	disk *Disk
}

// StoreLog writes an entry.
func (s diskLog) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries.
func (s diskLog) StoreLogs(logs []*raft.Log) error {
	return s.disk.write("log", func() error { return s.LogStore.StoreLogs(logs) })
}

// DeleteRange removes those of these entries that are there. The library's store in memory takes the log
// to begin behind them even if it begins far behind: compaction may come late, when a snapshot
// that was given has had the log begin anew.
func (s diskLog) DeleteRange(from, to uint64) error {
	return s.disk.write("log", func() error {
		first, err := s.LogStore.FirstIndex()
		if err != nil || to < first {
			return err
		}
		return s.LogStore.DeleteRange(max(from, first), to)
	})
}

// diskStable is a stable store on a disk.
type diskStable struct {
	raft.StableStore
	disk *Disk
}

// Set writes a value.
func (s diskStable) Set(key, value []byte) error {
	return s.disk.write("stable", func() error { return s.StableStore.Set(key, value) })
}

// SetUint64 writes a number.
func (s diskStable) SetUint64(key []byte, value uint64) error {
	return s.disk.write("stable", func() error { return s.StableStore.SetUint64(key, value) })
}

// diskSnapshots are snapshots on a disk. One that is not finished is none.
type diskSnapshots struct {
	raft.SnapshotStore
	disk *Disk
}

// Create begins a snapshot.
func (s diskSnapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink := &diskSink{disk: s.disk, begin: func() (raft.SnapshotSink, error) {
		return s.SnapshotStore.Create(version, index, term, c, cIndex, t)
	}}
	return sink, s.disk.write("snapshot", func() error { return nil })
}

// diskSink is a snapshot that is being written.
type diskSink struct {
	disk    *Disk
	begin   func() (raft.SnapshotSink, error)
	content []byte
	id      string // once it is finished
}

// Write writes a part.
func (s *diskSink) Write(b []byte) (int, error) {
	err := s.disk.write("snapshot", func() error { s.content = append(s.content, b...); return nil })
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close finishes the snapshot, once.
func (s *diskSink) Close() error {
	if s.id != "" {
		return nil
	}
	return s.disk.write("snapshot", func() error {
		sink, err := s.begin()
		if err != nil {
			return err
		}
		s.id = sink.ID()
		if _, err := sink.Write(s.content); err != nil {
			return err
		}
		return sink.Close()
	})
}

// Cancel gives the snapshot up.
func (s *diskSink) Cancel() error { return nil }

// ID returns the name of a snapshot that is finished.
func (s *diskSink) ID() string { return s.id }
