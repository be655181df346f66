package clustertest

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// Disk is what a node's log is written to. Its writes can be made to fail or to wait. It may
// be used by several goroutines.
type Disk struct {
	raft.LogStore

	mu     sync.Mutex
	broken int             // faults in force that make writes fail
	gates  []chan struct{} // faults in force that make writes wait, each until it is closed
	deaths int             // of processes; what they had waiting is lost
	failed int
	held   int
}

// Fail makes writes fail, with nothing written, until the returned function is called.
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

// Stall makes writes wait until the returned function is called.
func (d *Disk) Stall() (resume func()) {
	gate := make(chan struct{})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gates = append(d.gates, gate)
	return sync.OnceFunc(func() { close(gate) })
}

// Suffered returns how many writes failed, and how many had to wait.
func (d *Disk) Suffered() (failed, held int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed, d.held
}

// admit waits until writes need not wait any more, and reports whether they succeed.
func (d *Disk) admit() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	deaths := d.deaths
	for waited := false; len(d.gates) > 0; waited = true {
		if !waited {
			d.held++
		}
		gate := d.gates[0]
		d.mu.Unlock()
		<-gate
		d.mu.Lock()
		if len(d.gates) > 0 && d.gates[0] == gate {
			d.gates = d.gates[1:]
		}
	}
	if d.deaths > deaths {
		return errDead
	}
	if d.broken > 0 {
		d.failed++
		return errors.New("input/output error")
	}
	return nil
}

// StoreLog writes an entry.
func (d *Disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries, if the disk lets it.
func (d *Disk) StoreLogs(logs []*raft.Log) error {
	if err := d.admit(); err != nil {
		return err
	}
	return d.LogStore.StoreLogs(logs)
}

// life is a node's stores as one of its processes has them. Once that is dead, nothing that is
// left of it in the test reaches them any more.
type life struct {
	raft.LogStore
	raft.StableStore
	disk *Disk
	over atomic.Bool
}

var errDead = errors.New("the process is dead") // immutable

// end ends the process's use of the stores, and loses what it is about to write.
func (l *life) end() {
	l.over.Store(true)
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
