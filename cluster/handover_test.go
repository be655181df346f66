package cluster_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// transferAnswer is what came of handing leadership over.
type transferAnswer struct {
	err  error
	took time.Duration
}

// transferred has a leader hand over to a node, some time from now.
func transferred(leader, to *clustertest.Node, after time.Duration) <-chan transferAnswer {
	answered, node := make(chan transferAnswer, 1), leader.Current()
	time.AfterFunc(after, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var a transferAnswer
		a.took = sinceNow(func() { a.err = node.TransferLeadership(ctx, to.ID) })
		answered <- a
	})
	return answered
}

// TestTransferThatNobodyTakes hands leadership to a node that cannot take it, or by a leader that comes to its end
// meanwhile, in good order or because its disk fails. Whoever asked is told so, and not much later.
func TestTransferThatNobodyTakes(t *testing.T) {
	stall := func(t *testing.T, leader *clustertest.Node) {
		resume := leader.Disk.Stall()
		t.Cleanup(resume)
		go leader.Propose(t.Context(), patch("api:a"))
		<-time.After(50 * time.Millisecond)
		time.AfterFunc(5*time.Second, resume) // when raft is to be shut down
	}
	stop := func(c *clustertest.Cluster, leader *clustertest.Node) { c.Stop(leader) } // with an error or not
	for _, test := range []struct {
		name   string
		before func(*testing.T, *clustertest.Node)
		during func(*clustertest.Cluster, *clustertest.Node)
		asked  time.Duration // after that has begun
	}{
		{"its disk fails", func(*testing.T, *clustertest.Node) {}, func(_ *clustertest.Cluster, leader *clustertest.Node) {
			leader.Disk.Fail()
			leader.Propose(context.Background(), patch("api:a"))
		}, 0},
		{"it stops beside a hung disk", stall, stop, 0},
		{"it has handed over what it could", stall, stop, 1500 * time.Millisecond},
		{"raft is about to be shut down", stall, stop, 2500 * time.Millisecond},
		{"raft is shut down", stall, stop, 4 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, leader, hung, resume := besideAHungNode(t)
				defer resume()
				test.before(t, leader)
				answered := transferred(leader, hung, test.asked)
				<-time.After(time.Millisecond)
				test.during(c, leader)
				a := <-answered
				if a.err == nil {
					t.Error("leadership was handed to a node that hangs")
				}
				if a.took > 10*time.Second {
					t.Errorf("the answer took %v", a.took)
				}
			})
		})
	}
}

// TestTransferBesideAnElection: a leader is deposed while it hands over, which raft does not tell from having handed
// over. It is elected again, or nobody is.
func TestTransferBesideAnElection(t *testing.T) {
	for _, heals := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, leader, hung, resume := besideAHungNode(t)
			defer resume()
			answered := transferred(leader, hung, 0)
			<-time.After(time.Millisecond)
			c.Net.Isolate(leader.ID)
			<-time.After(2200 * time.Millisecond) // its lease ends; nobody can be elected beside a node that hangs
			resume()
			if heals {
				c.Net.HealAll()
			}
			a := <-answered
			if heals != errors.Is(a.err, cluster.ErrNotReady) || heals == errors.Is(a.err, cluster.ErrUnknownOutcome) {
				t.Errorf("healed %v: who asked was told %v", heals, a.err)
			}
			if a.took > 3*time.Second {
				t.Errorf("healed %v: the answer took %v", heals, a.took)
			}
		})
	}
}

// TestTransferBesideTheElectionOfAnother: a third node is elected while a leader that was deposed hands over. That it has
// come to that is told if the one that was asked for leads, which it does later.
func TestTransferBesideTheElectionOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leader, hung, resume := besideAHungNode(t)
		defer resume()
		third := c.Follower(hung)
		mustBump(t, leader, "api:a", "that never reaches the follower")
		answered := transferred(leader, hung, 0)
		<-time.After(time.Millisecond)
		c.Net.Isolate(leader.ID)
		resume()
		if next := c.Leader(leader); next != third {
			t.Fatalf("%s was elected, which is behind", next.ID)
		}
		c.Net.HealAll()
		a := <-answered
		if leads := c.Leader() == hung; (a.err == nil) != leads {
			t.Errorf("after %v who asked was told %v, and that it leads is %v", a.took, a.err, leads)
		}
	})
}

// TestTransferBesideOneThatWasGivenUp hands leadership to a node that hangs, by a caller who soon leaves, and then to one
// that is well, which raft cannot be asked for before the first has come to an end.
func TestTransferBesideOneThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leader, hung, resume := besideAHungNode(t)
		defer resume()
		third := c.Follower(hung)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := leader.Current().TransferLeadership(ctx, hung.ID); err == nil {
			t.Error("leadership was handed to a node that hangs")
		}
		if err := leader.Current().TransferLeadership(t.Context(), third.ID); err != nil {
			t.Errorf("leadership could not be handed to a node that is well: %v", err)
		}
		if now := c.Leader(); now != third {
			t.Errorf("%s leads", now.ID)
		}
	})
}
