package cluster_test

import (
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// TestStorageFull fills the disks one after the other: leadership goes where there is room,
// a node without takes no writes and goes on with reads, and writes go on when there is
// room again.
func TestStorageFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := map[string]*atomic.Uint64{"n1": {}, "n2": {}, "n3": {}}
		for _, f := range free { // any order: all get the same
			f.Store(math.MaxUint64)
		}
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			cfg.Storage.Free = func() (uint64, error) { return free[cfg.NodeID].Load(), nil }
		})
		c.Ready()
		mustBump(t, c.Nodes[0], "global:main", "")
		var full []*clustertest.Node
		for range 3 {
			leader := c.Leader()
			free[leader.ID].Store(1 << 20)
			full = append(full, leader)
			c.Wait("the full node still takes writes", time.Minute, func() bool {
				_, err := leader.Propose(t.Context(), patch("global:main"))
				return errors.Is(err, cluster.ErrStorageFull)
			})
			c.Wait("the full node fails no check, or another than that of its storage", time.Minute, func() bool {
				check, unready := leader.Check() // while leadership is on its way, the check of the leader fails, too
				return unready && check.Name == "storage"
			})
			if !leader.Status().StorageFull {
				t.Errorf("the status of %s does not say that it is full", leader.ID)
			}
			if len(full) == 3 {
				break
			}
			c.Wait("leadership does not go where there is room", time.Minute, func() bool { return c.Leader() != leader })
			for _, n := range c.Nodes {
				if !n.Status().StorageFull {
					mustBump(t, n, "global:main", "")
				}
			}
		}
		if c.Leader() != full[2] {
			t.Error("leadership went to a node that is full, too")
		}
		for _, n := range full {
			if _, err := n.Read(t.Context(), cluster.ReadOptions{}); err != nil {
				t.Errorf("a linearizable read of %s: %v", n.ID, err)
			}
		}
		for _, n := range full {
			free[n.ID].Store(1 << 30)
		}
		c.Ready()
		for _, n := range full {
			mustBump(t, n, "global:main", "")
		}
		c.Agree()
	})
}
