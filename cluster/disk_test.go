package cluster_test

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
)

// disk is a log store whose writes can be made to wait or to fail.
type disk struct {
	raft.LogStore
	failing atomic.Bool

	mu   sync.Mutex
	open chan struct{} // nil, or writes wait until it is closed
}

// stall makes writes wait until the returned function is called.
func (d *disk) stall() (resume func()) {
	open := make(chan struct{})
	d.mu.Lock()
	d.open = open
	d.mu.Unlock()
	return sync.OnceFunc(func() {
		d.mu.Lock()
		d.open = nil
		d.mu.Unlock()
		close(open)
	})
}

// StoreLog stores one entry.
func (d *disk) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

// StoreLogs stores entries, if the disk lets it.
func (d *disk) StoreLogs(logs []*raft.Log) error {
	d.mu.Lock()
	open := d.open
	d.mu.Unlock()
	if open != nil {
		<-open
	}
	if d.failing.Load() {
		return errors.New("no space left on device")
	}
	return d.LogStore.StoreLogs(logs)
}

// disks gives every node of a cluster a disk, by node id, beside seeding the cluster.
func disks(byID map[string]*disk) func(*cluster.Config) {
	return func(cfg *cluster.Config) {
		seeded(cfg)
		d := &disk{LogStore: cfg.Storage.Log}
		cfg.Storage.Log = d
		byID[cfg.NodeID] = d
	}
}
