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
				byID := make(map[string]*disk)
				c := clustertest.New(t, 3, disks(byID))
				c.Ready()
				leader, hung := c.Leader(), c.Follower()
				node, resume := leader.Current(), byID[hung.ID].stall()
				defer resume()
				mustBump(t, leader, "api:a", "that the follower cannot write")
				test.before(t, leader)
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				answered := make(chan error, 1)
				var took time.Duration
				time.AfterFunc(test.asked, func() {
					var err error
					took = sinceNow(func() { err = node.TransferLeadership(ctx, hung.ID) })
					answered <- err
				})
				<-time.After(time.Millisecond)
				test.during(c, leader)
				if err := <-answered; err == nil {
					t.Error("leadership was handed to a node that hangs")
				}
				if took > 10*time.Second {
					t.Errorf("the answer took %v", took)
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
			byID := make(map[string]*disk)
			c := clustertest.New(t, 3, disks(byID))
			c.Ready()
			leader, hung := c.Leader(), c.Follower()
			resume := byID[hung.ID].stall()
			defer resume()
			mustBump(t, leader, "api:a", "that the follower cannot write")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			answered := make(chan error, 1)
			var took time.Duration
			go func() {
				var err error
				took = sinceNow(func() { err = leader.Current().TransferLeadership(ctx, hung.ID) })
				answered <- err
			}()
			<-time.After(time.Millisecond)
			c.Net.Isolate(leader.ID)
			<-time.After(2200 * time.Millisecond) // its lease ends; nobody can be elected beside a node that hangs
			resume()
			if heals {
				c.Net.HealAll()
			}
			err := <-answered
			if heals != errors.Is(err, cluster.ErrNotReady) || heals == errors.Is(err, cluster.ErrUnknownOutcome) {
				t.Errorf("healed %v: who asked was told %v", heals, err)
			}
			if took > 3*time.Second {
				t.Errorf("healed %v: the answer took %v", heals, took)
			}
		})
	}
}

// TestTransferBesideOneThatWasGivenUp hands leadership to a node that hangs, by a caller who soon leaves, and then to one
// that is well, which raft cannot be asked for before the first has come to an end.
func TestTransferBesideOneThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		byID := make(map[string]*disk)
		c := clustertest.New(t, 3, disks(byID))
		c.Ready()
		leader, hung := c.Leader(), c.Follower()
		third := c.Follower(hung)
		resume := byID[hung.ID].stall()
		defer resume()
		mustBump(t, leader, "api:a", "that the follower cannot write")
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
