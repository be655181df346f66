package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// patient has a leader leave it to the library when to call a follower again that is down: ever more seldom.
func patient(cfg *cluster.Config) {
	seeded(cfg)
	cluster.SetInsistence(cfg, time.Nanosecond)
}

// TestLeftoverIsNotCommitted has a node come back with a bump that only it ever had, to a leader
// that looked for its last entry before it had written its first, and has committed that meanwhile.
// What the node hears first is an append without entries, up to where both logs are the same, and
// with a commit index beyond. It must not take its leftover for what is committed there.
func TestLeftoverIsNotCommitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, patient)
		c.Ready()
		deposed := c.Leader()
		last := deposed.Current().LastLogIndex()
		c.Net.Isolate(deposed.ID)
		go deposed.Propose(t.Context(), patch("component:b")) // which nobody else hears of
		c.Wait("the bump is not in the log", time.Second, func() bool {
			at, err := deposed.Store.LastIndex()
			return err == nil && at > last
		})
		c.Crash(deposed)
		for _, n := range c.Nodes {
			c.Net.Reset(deposed.ID, n.ID) // what it has sent is lost
		}
		c.Net.Rejoin(deposed.ID)

		var resume []func()
		for _, n := range c.Nodes {
			resume = append(resume, n.Disk.Stall()) // of the log: votes are written
		}
		var leader *clustertest.Node
		c.Wait("nobody wins an election", 10*time.Second, func() bool {
			for _, n := range c.Nodes {
				if n.Running() && n.Status().Role == cluster.Leader {
					leader = n
				}
			}
			return leader != nil
		})
		<-time.After(3 * time.Second) // the longer it calls in vain, the longer it waits until it calls again
		for _, r := range resume {
			r()
		}
		c.Wait("the leader commits nothing", time.Second, func() bool { return leader.Status().CommitIndex > last })
		c.Start(deposed)
		c.Ready()
		mustBump(t, leader, "api:a", "")
		registry, _ := c.Agree().Registry(clustertest.Registry)
		if e, _ := registry.Entity("component:b"); e.CurrentVersion != "1.0.0" {
			t.Errorf("the bump that was never committed was carried out: component:b is at %s", e.CurrentVersion)
		}
	})
}

// TestFormerLeaderSendsNothing has a node down while its leader hands leadership over, and come back
// where only that former leader reaches it, which is still about to send to it what it had: the node
// knows of no newer term, and would take the entries of the next leader for those of the former one,
// with a term that it has never heard of. It must come to know them from who leads, and start again.
func TestFormerLeaderSendsNothing(t *testing.T) {
	t.Parallel()
	for range 8 { // each time it is a toss-up what the former leader does next
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.New(t, 3, patient)
			c.Ready()
			former, down := c.Leader(), c.Follower()
			next := c.Follower(down)
			c.Crash(down)
			<-time.After(6 * time.Second) // the longer it calls in vain, the longer it waits until it calls again
			mustBump(t, former, "api:a", "")
			if err := former.Current().TransferLeadership(t.Context(), next.ID); err != nil {
				t.Fatal(err)
			}
			mustBump(t, next, "component:b", "")
			<-time.After(6 * time.Second)
			c.Net.Cut(next.ID, down.ID)
			c.Net.Cut(down.ID, next.ID)
			c.Start(down)
			<-time.After(10 * time.Second)
			c.Net.HealAll()
			c.Stop(down)
			c.Start(down)
			c.Ready()
			c.Agree()
		})
	}
}

// TestFollowerThatComesBack has a follower down for so long that the library would call it every ten
// seconds only. It must be ready soon after it is back, also if it needs a snapshot.
func TestFollowerThatComesBack(t *testing.T) {
	t.Parallel()
	for _, snapshot := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.New(t, 3, func(cfg *cluster.Config) {
				seeded(cfg)
				cfg.TrailingLogs = 1
			})
			c.Ready()
			leader, down := c.Leader(), c.Follower()
			c.Crash(down)
			<-time.After(time.Minute)
			if snapshot {
				for range 2 { // the log reaches back to the one before the last
					for range 5 {
						mustBump(t, leader, "api:a", "")
					}
					if err := leader.Current().Snapshot(); err != nil {
						t.Fatal(err)
					}
				}
				<-time.After(time.Minute)
			}
			began := time.Now()
			c.Start(down)
			c.Ready()
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it was ready %v after its start; with a snapshot: %v", took, snapshot)
			}
		})
	}
}
