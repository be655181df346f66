package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// logs is what the nodes log, by node.
type logs struct {
	mu    sync.Mutex
	nodes map[string]*bytes.Buffer
}

func (l *logs) has(node, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.nodes[node].String(), text)
}

// TestRequestIDReachesTheLeader checks that the log of the node that leads names the
// request that came in at another.
func TestRequestIDReachesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &logs{nodes: make(map[string]*bytes.Buffer)}
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			out := &bytes.Buffer{}
			logs.nodes[cfg.NodeID] = out
			cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: out, Mutex: &logs.mu})
		})
		c.Ready()
		leader, follower := c.Leader(), c.Follower()
		ctx := cluster.WithOrigin(t.Context(), cluster.Origin{RequestID: "request-17"})
		if _, err := follower.Current().Propose(ctx, patch("global:main")); err != nil {
			t.Fatal(err)
		}
		c.Wait("the leader's log does not tell of the request", time.Minute, func() bool { return logs.has(leader.ID, "request-17") })
		if !logs.has(leader.ID, "from="+follower.ID) {
			t.Errorf("the leader's log does not tell that it came from %s", follower.ID)
		}
	})
}

// TestCallerWhoGoes before its command is proposed: nobody carries it out, neither once the entry before it is done nor
// when there is a leader again.
func TestCallerWhoGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leader := distant(t)
		follower := c.Follower()
		proposed := func(n *clustertest.Node, caller context.Context) chan error {
			failed := make(chan error, 1)
			go func() {
				_, err := n.Current().Propose(cluster.WithOrigin(t.Context(), cluster.Origin{Caller: caller}), patch("api:a"))
				failed <- err
			}()
			synctest.Wait()
			return failed
		}
		refused := func(failed chan error) {
			t.Helper()
			began := time.Now()
			if err := <-failed; !errors.Is(err, cluster.ErrNotReady) {
				t.Errorf("the caller who went is told %v", err)
			}
			if took := time.Since(began); took > 50*time.Millisecond {
				t.Errorf("what nobody waits for was given up after %v", took)
			}
		}
		before := revision(leader)
		caller, leave := context.WithCancel(t.Context())
		first := proposed(leader, t.Context())
		queued := proposed(leader, caller)
		leave()
		refused(queued)
		if err := <-first; err != nil {
			t.Error(err)
		}
		for _, n := range c.Nodes {
			if n != follower {
				c.Stop(n)
			}
		}
		caller, leave = context.WithCancel(t.Context())
		waiting := proposed(follower, caller)
		<-time.After(time.Second)
		leave()
		refused(waiting)
		for _, n := range c.Nodes {
			if n != follower {
				c.Start(n)
			}
		}
		c.Ready()
		mustBump(t, c.Leader(), "api:a", "")
		if after := revision(c.Leader()); after != before+2 {
			t.Errorf("the revision was %d, and is %d after two bumps that somebody waited for", before, after)
		}
	})
}
