package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/clustertest"
)

// TestLeaderStopsUnderLoad stops one leader after the other while clients write through
// all nodes. Whoever writes through a node that goes on notices little.
func TestLeaderStopsUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		l := newLedger()
		stop := l.load(t, c, 4)
		for round := range 6 {
			<-time.After(300 * time.Millisecond)
			old := c.Leader()
			if err := c.Stop(old); err != nil {
				t.Errorf("stop %d: %v", round, err)
			}
			if took := sinceNow(func() { c.Leader(old) }); took > 200*time.Millisecond {
				t.Errorf("stop %d: the next leader took %v", round, took)
			}
			<-time.After(300 * time.Millisecond)
			c.Start(old)
			c.Ready()
		}
		stop()
		c.Ready()
		l.check(t, sameHistory(t, c))
		if len(l.acked) < 1000 {
			t.Errorf("only %d writes were acknowledged", len(l.acked))
		}
		for name, err := range l.unknown {
			t.Logf("%s: %v", name, err)
		}
	})
}

func sinceNow(do func()) time.Duration {
	began := time.Now()
	do()
	return time.Since(began)
}

// TestLeaderReturns: the connections to a leader that was away have ended. A write
// through a follower that still has one must not fail for it: it was never sent.
func TestLeaderReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		first := c.Leader()
		var others []*clustertest.Node
		for _, n := range c.Nodes {
			if n != first {
				others = append(others, n)
				mustBump(t, n, "api:a", "connects "+n.ID)
			}
		}
		for round := range 5 {
			c.Stop(first)
			c.Leader(first)
			c.Start(first)
			c.Ready()
			if err := c.Leader().Current().TransferLeadership(t.Context(), first.ID); err != nil {
				t.Fatal(err)
			}
			c.Wait("leadership does not return", 10*time.Second, func() bool { return c.Leader() == first })
			<-time.After(time.Second)
			for _, n := range others {
				if _, err := n.Propose(t.Context(), patch("api:a")); err != nil {
					t.Errorf("round %d: a write through %s: %v", round, n.ID, err)
				}
				mustBump(t, n, "api:a", fmt.Sprint("after ", n.ID, round))
			}
		}
	})
}

// besideAHungNode returns a cluster one of whose followers hangs, and is behind, until resume is called.
func besideAHungNode(t *testing.T) (c *clustertest.Cluster, leader, hung *clustertest.Node, resume func()) {
	byID := make(map[string]*disk)
	c = clustertest.New(t, 3, disks(byID))
	c.Ready()
	leader, hung = c.Leader(), c.Follower()
	resume = byID[hung.ID].stall()
	mustBump(t, leader, "api:a", "that the follower cannot write")
	return c, leader, hung, resume
}

// TestTransferToAHungNode hands leadership to a follower whose disk hangs, which cannot take
// it. The leader goes on meanwhile, and leads as before when it leads again: raft could wait
// for ever for a second try to come to an end, and refuse all writes as long.
func TestTransferToAHungNode(t *testing.T) {
	for _, deposed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c, leader, hung, resume := besideAHungNode(t)
			defer resume()
			for range 2 {
				if err := leader.Current().TransferLeadership(t.Context(), hung.ID); err == nil {
					t.Fatal("leadership was handed to a node that hangs")
				}
			}
			if deposed {
				c.Net.Isolate(leader.ID)
				resume()
				mustBump(t, c.Leader(leader), "api:a", "meanwhile")
				c.Net.HealAll()
				c.Ready()
			} else {
				if took := sinceNow(func() { mustBump(t, leader, "api:a", "right after") }); took > time.Second {
					t.Errorf("after that no write succeeded for %v", took)
				}
				if err := leader.Current().TransferLeadership(t.Context(), ""); err != nil {
					t.Errorf("leadership could not be handed to the one that does not hang: %v", err)
				}
			}
			if err := c.Leader().Current().TransferLeadership(t.Context(), leader.ID); err != nil {
				t.Fatal(err)
			}
			if took := sinceNow(func() { mustBump(t, leader, "api:a", "again") }); took > time.Second {
				t.Errorf("when it led again no write succeeded for %v", took)
			}
		})
	}
}

// TestLeaderStopsBesideAHungDisk has a leader stop while raft waits for its disk, which then goes on.
// Raft may be shut down before it comes to hand leadership over, as the node wants when it stops or as it was asked to
// before; nobody must wait for that.
func TestLeaderStopsBesideAHungDisk(t *testing.T) {
	for round := range 12 { // which of the two comes first is up to the runtime
		synctest.Test(t, func(t *testing.T) { // fails if somebody waits in the end
			c := clustertest.New(t, 3, seeded)
			c.Ready()
			leader := c.Leader()
			resume := leader.Disk.Stall()
			defer resume()
			go leader.Propose(t.Context(), patch("api:a"))
			<-time.After(50 * time.Millisecond)
			if round%2 == 0 {
				go leader.Current().TransferLeadership(t.Context(), "")
				synctest.Wait()
			}
			time.AfterFunc(5*time.Second, resume) // when it has given up waiting, and shuts raft down
			c.Stop(leader)                        // with an error or not
			c.Leader(leader)
		})
	}
}
