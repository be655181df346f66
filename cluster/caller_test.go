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

// TestCallerWhoGoes before its command is proposed: nobody carries it out, neither once the entry before it is done nor
// when there is a leader again. One who goes later is told that the outcome is unknown.
func TestCallerWhoGoes(t *testing.T) {
	for name, as := range map[string]func(caller context.Context) context.Context{
		"the context ends": func(caller context.Context) context.Context { return caller },
		"the origin is gone": func(caller context.Context) context.Context {
			return cluster.WithOrigin(context.WithoutCancel(caller), cluster.Origin{Gone: caller.Done()})
		},
	} {
		t.Run(name, func(t *testing.T) { testCallerWhoGoes(t, as) })
	}
}

// testCallerWhoGoes proposes with a context that stands for a caller.
func testCallerWhoGoes(t *testing.T, as func(caller context.Context) context.Context) {
	synctest.Test(t, func(t *testing.T) {
		c, leader := distant(t)
		follower := c.Follower()
		proposed := func(n *clustertest.Node, caller context.Context) chan error {
			failed := make(chan error, 1)
			go func() {
				_, err := n.Current().Propose(as(caller), patch("api:a"))
				failed <- err
			}()
			synctest.Wait()
			return failed
		}
		told := func(failed chan error, want error) {
			t.Helper()
			began := time.Now()
			if err := <-failed; !errors.Is(err, want) {
				t.Errorf("the caller who went is told %v, want %v", err, want)
			}
			if took := time.Since(began); took > 50*time.Millisecond {
				t.Errorf("what nobody waits for was given up after %v", took)
			}
		}
		before := revision(leader)
		other, goes := context.WithCancel(t.Context())
		underWay := proposed(leader, other)
		caller, leave := context.WithCancel(t.Context())
		queued := proposed(leader, caller)
		leave()
		told(queued, cluster.ErrNotReady)
		goes()
		told(underWay, cluster.ErrUnknownOutcome)
		c.Wait("what was under way is not carried out", time.Minute, func() bool { return revision(leader) == before+1 })
		for _, n := range c.Nodes {
			if n != follower {
				c.Stop(n)
			}
		}
		c.Wait("the node that is left still knows a leader", time.Minute, func() bool { return follower.Current().Leader() == "" })
		caller, leave = context.WithCancel(t.Context())
		waiting := proposed(follower, caller)
		<-time.After(time.Second)
		leave()
		told(waiting, cluster.ErrNotReady)
		for _, n := range c.Nodes {
			if n != follower {
				c.Start(n)
			}
		}
		c.Ready()
		mustBump(t, c.Leader(), "api:a", "")
		if after := revision(c.Leader()); after != before+2 {
			t.Errorf("the revision was %d, and is %d after a bump that was under way and one that somebody waited for", before, after)
		}
	})
}
