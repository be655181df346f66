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

// TestPartitions cuts a cluster under load in every way that leaves a majority, and
// holds what each client was told against the history.
func TestPartitions(t *testing.T) {
	t.Parallel()
	both := func(c *clustertest.Cluster, a, b *clustertest.Node) {
		c.Net.Cut(a.ID, b.ID)
		c.Net.Cut(b.ID, a.ID)
	}
	for _, tc := range []struct {
		name string
		cut  func(c *clustertest.Cluster, leader, f, g *clustertest.Node)
		off  func(leader, f *clustertest.Node) *clustertest.Node // whom no majority can reach
	}{
		{"the leader is isolated", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) { c.Net.Isolate(leader.ID) },
			func(leader, f *clustertest.Node) *clustertest.Node { return leader }},
		{"a follower is isolated", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) { c.Net.Isolate(f.ID) },
			func(leader, f *clustertest.Node) *clustertest.Node { return f }},
		{"the leader is not heard", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) {
			c.Net.Cut(leader.ID, f.ID)
			c.Net.Cut(leader.ID, g.ID)
		}, func(leader, f *clustertest.Node) *clustertest.Node { return leader }},
		{"the leader hears nothing", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) {
			c.Net.Cut(f.ID, leader.ID)
			c.Net.Cut(g.ID, leader.ID)
		}, func(leader, f *clustertest.Node) *clustertest.Node { return leader }},
		{"a follower is not heard", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) {
			c.Net.Cut(f.ID, leader.ID)
			c.Net.Cut(f.ID, g.ID)
		}, func(leader, f *clustertest.Node) *clustertest.Node { return f }},
		{"a follower hears nothing", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) {
			c.Net.Cut(leader.ID, f.ID)
			c.Net.Cut(g.ID, f.ID)
		}, func(leader, f *clustertest.Node) *clustertest.Node { return f }},
		{"a follower and the leader are apart", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) { both(c, leader, f) }, nil},
		{"the followers are apart", func(c *clustertest.Cluster, leader, f, g *clustertest.Node) { both(c, f, g) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && tc.off == nil {
				t.Skip("partial partitions take the race detector a minute; without -short they run")
			}
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.New(t, 3, seeded)
				c.Ready()
				leader := c.Leader()
				f := c.Follower()
				g := c.Follower(f)
				if g == leader {
					t.Fatal("the leader is its own follower")
				}
				l := newLedger()
				stop := l.load(t, c, 1)
				<-time.After(500 * time.Millisecond)
				tc.cut(c, leader, f, g)
				<-time.After(5 * time.Second)
				if tc.off != nil {
					offIsHonest(t, tc.off(leader, f))
				}
				l.mu.Lock()
				before := len(l.acked)
				l.mu.Unlock()
				<-time.After(5 * time.Second)
				l.mu.Lock()
				if gained := len(l.acked) - before; gained < 100 {
					t.Errorf("the majority acknowledged only %d writes in 5 s", gained)
				}
				l.mu.Unlock()
				c.Net.HealAll()
				<-time.After(2 * time.Second)
				stop()
				c.Ready()
				l.check(t, sameHistory(t, c))
				if tc.off != nil && len(l.refused) == 0 {
					t.Error("no write was refused: the cut did nothing")
				}
			})
		})
	}
}

// offIsHonest holds a node that reaches no majority to what it may still answer.
func offIsHonest(t *testing.T, n *clustertest.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	if _, err := n.Read(ctx, cluster.ReadOptions{}); !errors.Is(err, cluster.ErrNoLeader) {
		t.Errorf("a linearizable read: %v, want that there is no leader", err)
	}
	if took := time.Since(began); took < 1900*time.Millisecond || took > 4*time.Second {
		t.Errorf("a linearizable read failed after %v, want about 2 s", took)
	}
	if _, err := n.Read(ctx, cluster.ReadOptions{Mode: cluster.Stale}); err != nil {
		t.Errorf("a stale read: %v", err)
	}
	if _, err := n.Propose(ctx, patch("component:b")); err == nil || errors.Is(err, cluster.ErrUnknownOutcome) {
		t.Errorf("a write begun long after the cut: %v, want that it was not applied", err)
	}
}
