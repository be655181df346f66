package cluster_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// Written schedules: each drives a cluster to where one step of the read index is all that
// keeps a read from the past, and holds a read against that. Random faults hardly ever get
// there.

// hang makes a node's disk hang, and its raft with it: it looks at no lease, no message
// and no clock, until the returned function is called.
func hang(t *testing.T, n *clustertest.Node, d *disk) (resume func()) {
	t.Helper()
	resume = d.stall()
	entry, err := fsm.JoinEntry(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	go n.Current().ApplyRaw(entry) // something to write
	synctest.Wait()
	return resume
}

// without returns the nodes that are not among some.
func without(c *clustertest.Cluster, some ...*clustertest.Node) []*clustertest.Node {
	var others []*clustertest.Node
next:
	for _, n := range c.Nodes {
		for _, m := range some {
			if n == m {
				continue next
			}
		}
		others = append(others, n)
	}
	return others
}

// splitOff hangs the leader, the first of side, and cuts the side off. The others elect
// another leader, which acknowledges a bump of api:a. The side still follows the old
// leader, which still takes itself for one.
func splitOff(t *testing.T, c *clustertest.Cluster, d *disk, side ...*clustertest.Node) (resume func()) {
	t.Helper()
	leader := side[0]
	resume = hang(t, leader, d)
	for _, n := range without(c, side...) {
		for _, m := range side {
			c.Net.Cut(n.ID, m.ID)
			c.Net.Cut(m.ID, n.ID)
		}
	}
	mustBump(t, c.Leader(side...), "api:a", "after the split")
	for _, n := range side {
		if leader.Status().Role != cluster.Leader || n.Status().Leader != leader.ID {
			resume()
			t.Fatal("the schedule was not reached: the old leader has been given up")
		}
	}
	return resume
}

// readsNot fails the test if a node serves a linearizable read from before api:a had the
// version. It reports whether it served the read.
func readsNot(t *testing.T, n *clustertest.Node, before string, limit time.Duration) (served bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	view, err := n.Read(ctx, cluster.ReadOptions{})
	if err != nil {
		return false
	}
	if got := versionIn(t, view, "api:a"); got != before {
		t.Errorf("a read at %s saw %s after %s had been acknowledged", n.ID, got, before)
	}
	return true
}

// TestUnreadyLeaderServesNothing: a new leader has a write that its predecessor
// acknowledged, but does not know yet that it is committed.
func TestUnreadyLeaderServesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byID := make(map[string]*disk)
		c := clustertest.New(t, 3, disks(byID))
		c.Ready()
		old := c.Leader()
		for _, n := range without(c, old) { // so that it is sent to both before one answers
			c.Net.Delay(old.ID, n.ID, func() time.Duration { return time.Millisecond })
		}
		want := ""
		c.Wait("the schedule was not reached", time.Minute, func() bool {
			want = mustBump(t, old, "api:a", "").Transaction.Changes[0].NewVersion
			synctest.Wait()
			return onlyKnownTo(t, c, old, want)
		})
		resume := func() {}
		defer func() { resume() }()
		for _, n := range without(c, old) {
			next, before := byID[n.ID].stall(), resume
			resume = func() { before(); next() }
		}
		c.Crash(old)
		next := c.Leader(old) // its first entry does not get to the disk
		if readsNot(t, next, want, time.Second) {
			t.Error("a leader that has committed nothing in its term served a read")
		}
		time.AfterFunc(100*time.Millisecond, resume)
		if !readsNot(t, next, want, 10*time.Second) {
			t.Error("no read was served once the disk had come back")
		}
	})
}

// onlyKnownTo reports whether all nodes have in their logs that api:a has a version, and only
// the leader knows that it is committed.
func onlyKnownTo(t *testing.T, c *clustertest.Cluster, leader *clustertest.Node, version string) bool {
	for _, n := range without(c, leader) {
		if n.Current().LastLogIndex() != leader.Current().LastLogIndex() || versionIn(t, n.View(), "api:a") == version {
			return false
		}
	}
	return true
}

// TestLeaderWithoutAVote: a leader that has its own removal or demotion in its log leads on
// until that is committed. With one other it is half of the four old voters, but the other is
// only one of three new ones.
func TestLeaderWithoutAVote(t *testing.T) {
	for name, change := range map[string]func(*cluster.Node){
		"removal": (*cluster.Node).BeginRemoval, "demotion": (*cluster.Node).BeginDemotion,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				byID := make(map[string]*disk)
				c := clustertest.New(t, 4, disks(byID))
				c.Ready()
				leader, friend := c.Leader(), c.Follower()
				mustBump(t, leader, "api:a", "before")
				<-time.After(100 * time.Millisecond)
				for _, n := range without(c, leader) {
					c.Net.Cut(n.ID, leader.ID) // the entry reaches them; the leader does not hear that it did
				}
				change(leader.Current())
				synctest.Wait()
				for _, n := range c.Nodes {
					if n.Current().LastLogIndex() != leader.Current().LastLogIndex() {
						t.Fatal("the schedule was not reached: the change has not come to all")
					}
				}
				c.Net.Heal(friend.ID, leader.ID)
				defer splitOff(t, c, byID[leader.ID], leader, friend)()
				if m := leader.Member(); m != nil && m.Voter {
					t.Fatal("the schedule was not reached: the leader is a voter")
				}
				readsNot(t, friend, "1.0.2", 2*time.Second)
				if _, err := leader.Current().AnswerReadIndex(t.Context(), friend.Current(), friend.Status().Term); err == nil {
					t.Error("the leader counted itself")
				}
			})
		})
	}
}

// TestNonvoterAsks: the terms of nodes that have no vote prove nothing, however many they are.
func TestNonvoterAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byID := make(map[string]*disk)
		c := clustertest.New(t, 3, disks(byID))
		c.Ready()
		leader := c.Leader()
		mustBump(t, leader, "api:a", "before")
		side := []*clustertest.Node{leader}
		for range 2 {
			n := c.Add()
			c.Start(n)
			waitsFor(t, c, n, "tesd node add")
			side = append(side, n)
		}
		for _, n := range side[1:] { // at once: they are promoted before long
			if err := leader.Current().AddNode(t.Context(), n.ID, n.ID+":9000", false); err != nil {
				t.Fatal(err)
			}
		}
		c.Wait("the new nodes do not follow", time.Second, func() bool {
			for _, n := range side[1:] {
				if n.Status().Leader != leader.ID || n.View().Index() != leader.View().Index() || len(n.Current().Members(t.Context())) != 5 {
					return false
				}
			}
			return true
		})
		defer splitOff(t, c, byID[leader.ID], side...)()
		for _, n := range side[1:] {
			if m := n.Member(); m == nil || m.Voter {
				t.Fatalf("the schedule was not reached: %s is %+v, want a non-voter", n.ID, m)
			}
			readsNot(t, n, "1.0.2", 2*time.Second)
		}
	})
}

// TestConfigurationOfNow: two of the three voters that there were when the leader became
// ready are a minority of the five that there are now.
func TestConfigurationOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byID := make(map[string]*disk)
		c := clustertest.New(t, 3, disks(byID))
		c.Ready()
		leader, friend := c.Leader(), c.Follower()
		term := leader.Status().Term
		mustBump(t, leader, "api:a", "before")
		for range 2 {
			n := c.Add()
			c.Start(n)
			waitsFor(t, c, n, "tesd node add")
			mustAdd(t, c, leader, n, false)
		}
		c.Ready()
		if now := leader.Status().Term; now != term {
			t.Fatalf("the schedule was not reached: the term went from %d to %d", term, now)
		}
		defer splitOff(t, c, byID[leader.ID], leader, friend)()
		readsNot(t, friend, "1.0.2", 2*time.Second)
	})
}

// TestTermAndLeaderOfNow: a follower has just voted for another leader and follows it, while
// the old one hangs and has not noticed. A term and a leader that the follower knew before
// the read came would make a majority with the old one.
func TestTermAndLeaderOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byID := make(map[string]*disk)
		c := clustertest.New(t, 3, disks(byID))
		c.Ready()
		leader := c.Leader()
		next, friend := without(c, leader)[0], without(c, leader)[1]
		mustBump(t, leader, "api:a", "before")
		if !readsNot(t, friend, "1.0.1", time.Second) {
			t.Fatal("no read is served")
		}
		term := friend.Status().Term
		defer hang(t, leader, byID[leader.ID])()
		if err := next.Current().Campaign(); err != nil {
			t.Fatal(err)
		}
		c.Wait("the next one does not lead", time.Second, func() bool { return next.Status().Role == cluster.Leader })
		mustBump(t, next, "api:a", "meanwhile")
		if leader.Status().Role != cluster.Leader || friend.Status().Term <= term {
			t.Fatal("the schedule was not reached: the old leader knows, or the follower does not")
		}
		readsNot(t, friend, "1.0.2", 400*time.Millisecond)

		// What the term is for: with an older one the old leader would have answered.
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		if _, err := leader.Current().AnswerReadIndex(ctx, friend.Current(), friend.Status().Term); err == nil {
			t.Error("the old leader answered a node that is in a newer term")
		}
		if _, err := leader.Current().AnswerReadIndex(ctx, friend.Current(), term); err != nil {
			t.Errorf("the schedule tests nothing: an older term is refused too: %v", err)
		}
	})
}

// TestStrangerIsNoVoter: at a voter's address there is a node of another cluster now. What
// its term is says nothing of the voter's.
func TestStrangerIsNoVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := clustertest.New(t, 1, seeded) // on a network of its own
		other.Ready()
		byID := make(map[string]*disk)
		c := clustertest.New(t, 3, disks(byID))
		c.Ready()
		leader, gone := c.Nodes[1], c.Nodes[0] // the other cluster's only node is an n1, too
		for i := range 5 {                     // so that the stranger's term is below
			for _, to := range []*clustertest.Node{c.Nodes[i%2*2], leader} {
				if err := c.Leader().Current().TransferLeadership(t.Context(), to.ID); err != nil {
					t.Fatal(err)
				}
				c.Ready()
			}
		}
		c.Crash(gone)
		stranger := c.Add()
		stranger.ID = gone.ID
		stranger.Store, stranger.Log, stranger.Stable = other.Nodes[0].Store, other.Nodes[0].Store, other.Nodes[0].Store
		stranger.Snapshots = other.Nodes[0].Snapshots
		other.Stop(other.Nodes[0])
		mine := byID[leader.ID]
		defer hang(t, leader, mine)() // or its lease would end
		c.Start(stranger)
		c.Wait("the stranger does not lead its own cluster", 10*time.Second, func() bool {
			return stranger.Status().Role == cluster.Leader
		})
		c.Net.Isolate(c.Nodes[2].ID)
		if leader.Status().Role != cluster.Leader || stranger.Status().Term > leader.Status().Term {
			t.Fatal("the schedule was not reached: the leader has been given up, or the stranger's term is above")
		}
		if readsNot(t, leader, "1.0.0", 2*time.Second) {
			t.Error("a leader that no other voter answers served a read")
		}
	})
}

// TestReadIndexIsNotTheMachines: what is committed may have been served by another node
// already, also if the leader's own machine is behind.
func TestReadIndexIsNotTheMachines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader := c.Leader()
		before := leader.View()
		mustBump(t, leader, "api:a", "committed")
		index, err := leader.Current().ReadIndexOver(before)
		if want := leader.View().Index(); err != nil || index != want {
			t.Errorf("over a machine at %d the read index is %d, %v, want %d", before.Index(), index, err, want)
		}
	})
}
