package cluster_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// TestSnapshotThatCannotBeGiven has a follower need a snapshot for which its disk has no room. It is not ready, and
// says why, until it has got the snapshot.
func TestSnapshotThatCannotBeGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		f := c.Follower()
		c.Stop(f)
		for i := range 2 {
			mustBump(t, c.Leader(f), "api:a", fmt.Sprint("meanwhile ", i))
			if err := c.Leader(f).Current().Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		disk := &fullSnapshots{SnapshotStore: f.Snapshots}
		disk.full.Store(true)
		f.Snapshots = disk
		c.Start(f)
		storage := func() (storage cluster.Check) {
			for _, check := range f.Current().Ready() {
				if check.Name == "storage" {
					storage = check
				}
			}
			return storage
		}
		c.Wait("the node does not say that it cannot be given a snapshot", time.Minute, func() bool {
			check := storage()
			return !check.OK && strings.Contains(check.Detail, "a snapshot that the leader sent could not be written: no space left on device")
		})
		disk.full.Store(false)
		c.Ready()
		if check := storage(); !check.OK {
			t.Error(check)
		}
	})
}

// fullSnapshots are snapshots on a disk that may be full.
type fullSnapshots struct {
	raft.SnapshotStore
	full atomic.Bool
}

// Create begins a snapshot.
func (s *fullSnapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	if s.full.Load() {
		return nil, syscall.ENOSPC
	}
	return s.SnapshotStore.Create(version, index, term, c, cIndex, t)
}
