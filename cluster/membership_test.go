package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// mustAdd makes a node that runs a member, by way of another, and waits until it votes.
func mustAdd(t *testing.T, c *clustertest.Cluster, by, n *clustertest.Node, replace bool) {
	t.Helper()
	if err := by.Current().AddNode(t.Context(), n.ID, n.ID+":9000", replace); err != nil {
		t.Fatalf("adding %s: %v", n.ID, err)
	}
	c.Wait(n.ID+" is not promoted", time.Minute, func() bool {
		m := by.Current().Members(t.Context())
		for _, m := range m {
			if m.ID == n.ID && m.Voter && m.Status != nil {
				return true
			}
		}
		return false
	})
}

// wantMembershipError holds a change that is refused to what it must say.
func wantMembershipError(t *testing.T, err, sentinel error, text string) {
	t.Helper()
	if !errors.Is(err, sentinel) || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %v, want %q with %q", err, sentinel, text)
	}
}

func TestNodesJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		mustBump(t, c.Nodes[0], "api:a", "before")
		for range 2 {
			n := c.Add()
			c.Start(n)
			waitsFor(t, c, n, "tesd node add "+n.ID+"="+n.ID+":9000")
			if check, _ := n.Check(); strings.Contains(check.Detail, "--replace") {
				t.Errorf("a new node replaces nobody: %s", check.Detail)
			}
			if err := c.Follower(n).Current().AddNode(t.Context(), n.ID, n.ID+":9000", false); err != nil {
				t.Fatal(err)
			}
			c.Ready() // as a non-voter, too
			if _, err := n.Read(t.Context(), cluster.ReadOptions{}); err != nil {
				t.Errorf("a non-voter's linearizable read: %v", err)
			}
			mustAdd(t, c, n, n, false) // to repeat changes nothing
			mustBump(t, n, "api:a", "through "+n.ID)
		}
		c.Agree()

		// Five voters live without two.
		c.Crash(c.Nodes[0])
		c.Crash(c.Nodes[1])
		mustBump(t, c.Nodes[4], "api:a", "without two")
		c.Agree()

		// A node that joined needs nobody's leave to come back.
		c.Crash(c.Nodes[4])
		c.Start(c.Nodes[4])
		c.Start(c.Nodes[0])
		c.Ready()
		mustBump(t, c.Nodes[4], "api:a", "back again")
		c.Agree()
	})
}

// TestJoinBySnapshot adds a node when the log's beginning is gone.
func TestJoinBySnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader := c.Leader()
		for i := range 50 {
			mustBump(t, leader, "api:a", string(rune('A'+i)))
		}
		c.Agree() // else who is behind may be given a snapshot while it takes one
		for _, n := range c.Nodes {
			if err := n.Current().Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		if leader.Store.GetLog(20, &raft.Log{}) == nil {
			t.Fatal("the log still has its beginning")
		}
		n := c.Add()
		c.Start(n)
		mustAdd(t, c, leader, n, false)
		c.Ready()
		if got, want := versionIn(t, c.Agree(), "api:a"), versionIn(t, n.View(), "api:a"); got != want {
			t.Errorf("the new node has %s, want %s", got, want)
		}
	})
}

func TestLostDiskIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		lost := c.Follower()
		by := c.Follower(lost)
		mustBump(t, lost, "api:a", "before")

		err := by.Current().AddNode(t.Context(), lost.ID, lost.ID+":9000", true)
		wantMembershipError(t, err, cluster.ErrMembership, "nothing to replace")
		c.Crash(lost)
		lost.Wipe()
		c.Start(lost)
		waitsFor(t, c, lost, "--replace")
		wantMembershipError(t, by.Current().AddNode(t.Context(), lost.ID, lost.ID+":9000", false), cluster.ErrMembership, "--replace")
		mustAdd(t, c, by, lost, true)
		c.Ready()
		if got := len(by.Current().Members(t.Context())); got != 3 {
			t.Errorf("the cluster has %d members, want 3", got)
		}
		c.Crash(c.Leader(lost, by)) // a majority needs the one that is back
		mustBump(t, lost, "api:a", "after")
		c.Agree()
	})
}

// TestRemovedNode: it says so, and serves nothing, whether the news reached it or not.
func TestRemovedNode(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"told": false, "cut off": true, "asleep": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.New(t, 3, seeded)
				c.Ready()
				gone := c.Follower()
				by := c.Follower(gone)
				if cut {
					c.Net.Isolate(gone.ID)
				}
				if name == "asleep" {
					c.Crash(gone)
				}
				if err := by.Current().RemoveNode(t.Context(), gone.ID); err != nil {
					t.Fatal(err)
				}
				mustBump(t, by, "api:a", "after")
				if cut {
					<-time.After(10 * time.Second)
					c.Net.HealAll()
				}
				if name == "asleep" {
					c.Start(gone)
				}
				c.Wait("the node does not say that it was removed", time.Minute, func() bool {
					_, err := gone.Read(t.Context(), cluster.ReadOptions{Mode: cluster.Stale})
					return errors.Is(err, cluster.ErrNotReady) && strings.Contains(err.Error(), "was removed")
				})
				if _, err := gone.Read(t.Context(), cluster.ReadOptions{}); !errors.Is(err, cluster.ErrNotReady) {
					t.Errorf("a read: %v", err)
				}
				if _, err := gone.Propose(t.Context(), patch("api:a")); !errors.Is(err, cluster.ErrNotReady) {
					t.Errorf("a write: %v", err)
				}
				term := by.Status().Term
				<-time.After(time.Minute)
				if now := by.Status().Term; now != term {
					t.Errorf("the removed node disturbs the cluster: its term went from %d to %d", term, now)
				}
				wantMembershipError(t, by.Current().RemoveNode(t.Context(), gone.ID), cluster.ErrNoNode, gone.ID)
			})
		})
	}
}

// TestLeaderIsRemoved: it hands over first, and the next leader removes it, so that nobody
// has to wait for an election.
func TestLeaderIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader := c.Leader()
		term := leader.Status().Term
		if err := leader.Current().RemoveNode(t.Context(), leader.ID); err != nil {
			t.Fatal(err)
		}
		for _, m := range leader.Current().Members(t.Context()) { // which is what it answers
			if m.ID == leader.ID {
				t.Error("the old leader still counts itself among the members")
			}
		}
		if took := sinceNow(func() { c.Leader(leader) }); took > 100*time.Millisecond {
			t.Errorf("the next leader took %v", took)
		}
		next := c.Leader(leader)
		var removal raft.Log
		for i := next.Current().LastLogIndex(); removal.Type != raft.LogConfiguration; i-- {
			if err := next.Store.GetLog(i, &removal); err != nil {
				t.Fatal(err)
			}
		}
		if removal.Term <= term {
			t.Errorf("the leader removed itself in its own term, %d", removal.Term)
		}
		mustBump(t, next, "api:a", "after")
		c.Wait("the old leader does not say that it was removed", time.Minute, func() bool {
			check, unready := leader.Check()
			return unready && strings.Contains(check.Detail, "configuration")
		})
	})
}

func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		for _, to := range []*clustertest.Node{c.Follower(), c.Nodes[0], c.Nodes[1], c.Nodes[1], c.Nodes[2]} {
			if err := c.Nodes[1].Current().TransferLeadership(t.Context(), to.ID); err != nil {
				t.Fatal(err)
			}
			if got := c.Leader(); got != to {
				t.Errorf("%s leads, want %s", got.ID, to.ID)
			}
		}
		if err := c.Nodes[0].Current().TransferLeadership(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if c.Leader() == c.Nodes[2] {
			t.Error("leadership was not handed over")
		}
		wantMembershipError(t, c.Nodes[0].Current().TransferLeadership(t.Context(), "n9"), cluster.ErrNoNode, "n9")
	})
}

func TestMembershipRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		by := c.Nodes[0].Current()
		ctx := t.Context()
		members := len(by.Members(ctx))
		add := func(id, address string, replace bool) error { return by.AddNode(ctx, id, address, replace) }
		wantMembershipError(t, add("n 4", "n4:9000", false), cluster.ErrMembership, "node id")
		wantMembershipError(t, add("n4", "nowhere", false), cluster.ErrMembership, "host:port")
		wantMembershipError(t, add("n4", "n4:9000", false), cluster.ErrNotReady, "does not answer at n4:9000")
		wantMembershipError(t, add("n4", "n2:9000", false), cluster.ErrMembership, "the node at n2:9000 is n2")
		wantMembershipError(t, add("n4", "n4:99999", false), cluster.ErrMembership, "host:port")
		if err := add("n2", "n2:9000", false); err != nil {
			t.Errorf("to add a member again: %v", err)
		}

		other := clustertest.New(t, 1, seeded) // on a network of its own
		other.Ready()
		stranger := c.Add()
		stranger.Store, stranger.Log, stranger.Stable = other.Nodes[0].Store, other.Nodes[0].Store, other.Nodes[0].Store
		stranger.Snapshots = other.Nodes[0].Snapshots
		other.Stop(other.Nodes[0])
		stranger.ID = other.Nodes[0].ID // it is n1, too
		c.Stop(c.Nodes[0])
		c.Start(stranger)
		by = c.Leader(c.Nodes[0], stranger).Current()
		<-time.After(time.Second)
		wantMembershipError(t, by.AddNode(ctx, "n1", "n1:9000", true), cluster.ErrMembership, "another cluster")
		c.Stop(stranger)
		c.Start(c.Nodes[0])
		c.Ready()

		// Of three voters of which one is down, neither of the others is dispensable.
		c.Crash(c.Nodes[2])
		by = c.Leader(c.Nodes[2]).Current()
		wantMembershipError(t, by.RemoveNode(ctx, "n1"), cluster.ErrMembership, "no majority")
		wantMembershipError(t, by.RemoveNode(ctx, "n2"), cluster.ErrMembership, "no majority")
		if got := len(by.Members(ctx)); got != members {
			t.Errorf("refused changes left %d members, want %d", got, members)
		}
		if err := by.RemoveNode(ctx, "n3"); err != nil {
			t.Errorf("removing the one that is down: %v", err)
		}
		c.Crash(c.Follower(c.Nodes[2], stranger))
		<-time.After(5 * time.Second)
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		wantMembershipError(t, by.RemoveNode(short, "n3"), cluster.ErrNoLeader, "")
	})
}

// TestLastVoterStays: a cluster of one cannot be taken apart.
func TestLastVoterStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 1, seeded)
		c.Ready()
		wantMembershipError(t, c.Nodes[0].Current().RemoveNode(t.Context(), "n1"), cluster.ErrMembership, "only voter")
		n := c.Add()
		c.Start(n)
		mustAdd(t, c, c.Nodes[0], n, false)
		if err := n.Current().RemoveNode(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
		mustBump(t, n, "api:a", "alone")
		wantMembershipError(t, n.Current().RemoveNode(t.Context(), "n2"), cluster.ErrMembership, "only voter")
	})
}

// TestPromotionWaits: nobody is promoted while a voter is away.
func TestPromotionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		away := c.Follower()
		c.Crash(away)
		n := c.Add()
		c.Start(n)
		if err := c.Leader(away, n).Current().AddNode(t.Context(), n.ID, n.ID+":9000", false); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if m := n.Member(); m == nil || m.Voter {
			t.Errorf("the new node is %+v, want a non-voter", m)
		}
		c.Start(away)
		mustAdd(t, c, away, n, false)
		mustBump(t, n, "api:a", "after")
		c.Agree()
	})
}

// TestNodeMoves restarts a node at another address.
func TestNodeMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		moved := ""
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			if cfg.NodeID == moved {
				cfg.RaftAddress = cfg.NodeID + ":9999"
				for i := range cfg.Peers {
					if cfg.Peers[i].ID == moved {
						cfg.Peers[i].Address = cfg.RaftAddress
					}
				}
			}
		})
		c.Ready()
		n := c.Follower()
		by := c.Follower(n)
		c.Stop(n)
		moved = n.ID
		c.Start(n)
		<-time.After(30 * time.Second) // the leader calls it where it was
		mustBump(t, by, "api:a", "meanwhile")
		if err := by.Current().AddNode(t.Context(), n.ID, n.ID+":9999", false); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.Ready()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the node was ready %v after it was said where it is", took)
		}
		c.Agree()
		for _, m := range by.Current().Members(t.Context()) {
			if m.ID == n.ID && (m.RaftAddress != n.ID+":9999" || !m.Voter || m.Status == nil) {
				t.Errorf("the node that moved is %+v", m)
			}
		}
		if err := by.Current().TransferLeadership(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
		mustBump(t, by, "api:a", "after")
		c.Agree()
	})
}

// TestMembersBesideAHungNode asks for the members while the way to one of them swallows everything: that
// takes its time once, and not again until it may have come back.
func TestMembersBesideAHungNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader, hung := c.Leader(), c.Follower()
		answers := func() (n int, took time.Duration) {
			took = sinceNow(func() {
				for _, m := range leader.Current().Members(t.Context()) {
					if m.Status != nil {
						n++
					}
				}
			})
			return n, took
		}
		c.Net.Delay(hung.ID, leader.ID, func() time.Duration { return time.Hour })
		if n, took := answers(); n != 2 || took > time.Second {
			t.Errorf("at first %d answer, in %v", n, took)
		}
		if n, took := answers(); n != 2 || took > 100*time.Millisecond {
			t.Errorf("then %d answer, in %v", n, took)
		}
	})
}
