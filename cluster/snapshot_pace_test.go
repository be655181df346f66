package cluster_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// slowSnapshots are snapshots whose writes take a while.
type slowSnapshots struct {
	raft.SnapshotStore
	begun chan struct{} // has a token for each
	busy  atomic.Int64  // how long writes took, in nanoseconds
}

func (s *slowSnapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, t raft.Transport) (raft.SnapshotSink, error) {
	sink, err := s.SnapshotStore.Create(version, index, term, c, cIndex, t)
	s.begun <- struct{}{}
	return slowWrites{sink, &s.busy}, err
}

type slowWrites struct {
	raft.SnapshotSink
	busy *atomic.Int64
}

func (w slowWrites) Write(p []byte) (int, error) {
	takes := time.Duration(len(p)) * time.Second >> 25 // 32 MiB a second
	<-time.After(takes)
	w.busy.Add(int64(takes))
	return w.SnapshotSink.Write(p)
}

// TestSnapshotsTakeTheirTime has a node write a snapshot, at leisure, and stop while it writes another, which then takes no
// longer than it must.
func TestSnapshotsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			cfg.Timing.Stop = 80 * time.Millisecond
			cfg.Seed = func() (fsm.Migrate, error) {
				large := fsm.Migrate{Source: "test"}
				for i := range 5000 {
					large.Entities = append(large.Entities, fsm.Entity{
						ID: fmt.Sprint("api:", i), Type: fsm.TypeAPIScope, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: strings.Repeat("x", 200),
					})
				}
				return large, nil
			}
		})
		c.Ready()
		f := c.Follower()
		c.Stop(f)
		slow := &slowSnapshots{SnapshotStore: f.Snapshots, begun: make(chan struct{}, 2)}
		f.Snapshots = slow
		c.Start(f)
		c.Ready()
		var err error
		took := sinceNow(func() { err = f.Current().Snapshot() })
		if busy := time.Duration(slow.busy.Load()); err != nil || busy == 0 || took < 2*busy {
			t.Errorf("a snapshot that was written for %v took %v: %v", busy, took, err)
		}
		<-slow.begun
		mustBump(t, f, "api:1", "for another")
		taken := make(chan error, 1)
		go func() { taken <- f.Current().Snapshot() }()
		<-slow.begun
		if err := c.Stop(f); err != nil {
			t.Errorf("the node did not stop as it should: %v", err)
		}
		if err := <-taken; err != nil {
			t.Errorf("the snapshot came to no good end: %v", err)
		}
	})
}
