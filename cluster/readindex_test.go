package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// TestDeposedLeaderReads: a leader hangs in a disk write while answers to its
// heartbeats are under way; another is elected and acknowledges a write; then a read
// begins at the old one, and the old answers arrive. raft's VerifyLeader can be fooled
// by them. The read must see the write or fail.
func TestDeposedLeaderReads(t *testing.T) {
	const runs = 20
	fooled, refused := 0, 0
	for range runs {
		synctest.Test(t, func(t *testing.T) {
			byID := make(map[string]*disk)
			c := clustertest.New(t, 3, disks(byID))
			c.Ready()
			old := c.Leader()
			var others []*clustertest.Node
			for _, n := range c.Nodes {
				if n != old {
					others = append(others, n)
				}
			}
			mustBump(t, old, "api:a", "first")
			<-time.After(100 * time.Millisecond)
			for _, n := range others {
				c.Net.Cut(n.ID, old.ID) // what they answer is held
			}
			<-time.After(30 * time.Millisecond)
			resume := byID[old.ID].stall()
			defer resume()
			go old.Propose(context.WithoutCancel(t.Context()), patch("component:b"))
			next := c.Leader(old)
			second := mustBump(t, next, "api:a", "second")
			if old.Status().Role != cluster.Leader || versionIn(t, old.View(), "api:a") != "1.0.1" {
				t.Fatal("the schedule was not reached: the old leader knows already")
			}
			verified := make(chan error, 1)
			go func() { verified <- old.Current().VerifyLeader() }()
			read := make(chan uint64, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
				defer cancel()
				view, err := old.Read(ctx, cluster.ReadOptions{})
				if err != nil {
					read <- 0
					return
				}
				r, _ := view.Registry(clustertest.Registry)
				read <- r.Revision()
			}()
			<-time.After(time.Millisecond)
			for _, n := range others {
				c.Net.Cut(old.ID, n.ID)
			}
			c.Net.Heal(others[0].ID, old.ID)
			<-time.After(time.Millisecond)
			resume()
			<-time.After(3 * time.Millisecond)
			c.Net.Heal(others[1].ID, old.ID)
			switch revision := <-read; {
			case revision == 0:
				refused++
			case revision < second.Revision:
				t.Errorf("a read after revision %d was acknowledged saw revision %d", second.Revision, revision)
			}
			c.Net.HealAll()
			if <-verified == nil {
				fooled++
			}
		})
	}
	if fooled == 0 {
		t.Error("VerifyLeader was never fooled: the schedule tests nothing")
	}
	t.Logf("of %d runs, VerifyLeader confirmed the deposed leader in %d, the read was refused in %d", runs, fooled, refused)
}

// TestFollowerReadsSeeAcknowledgedWrites reads on every node after writes through the
// others, over links whose delays reorder what travels on different connections.
func TestFollowerReadsSeeAcknowledgedWrites(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.New(t, 3, seeded)
			c.Ready()
			rng := rand.New(rand.NewPCG(seed, 2))
			for _, from := range c.Nodes {
				for _, to := range c.Nodes {
					if from != to {
						c.Net.Delay(from.ID, to.ID, func() time.Duration { return time.Duration(rng.IntN(20)) * time.Millisecond })
					}
				}
			}
			for i := range 300 {
				bump := mustBump(t, c.Nodes[i%3], "api:a", fmt.Sprint(i))
				view, err := c.Nodes[(i+1+i/3%2)%3].Read(t.Context(), cluster.ReadOptions{})
				if err != nil {
					t.Fatalf("read %d: %v", i, err)
				}
				if got, want := versionIn(t, view, "api:a"), bump.Transaction.Changes[0].NewVersion; got != want {
					t.Fatalf("read %d saw %s after %s was acknowledged", i, got, want)
				}
			}
		})
	}
}

// TestReadsAfterABarrier: an entry that no state machine sees is the last of the log. To
// wait for it would be to wait for ever.
func TestReadsAfterABarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		if err := c.Leader().Current().Barrier(); err != nil {
			t.Fatal(err)
		}
		for _, n := range c.Nodes {
			began := time.Now()
			if _, err := n.Read(t.Context(), cluster.ReadOptions{}); err != nil {
				t.Errorf("a read on %s: %v", n.ID, err)
			}
			if took := time.Since(began); took > 100*time.Millisecond {
				t.Errorf("a read on %s took %v", n.ID, took)
			}
		}
	})
}

// TestReadOptions holds each way of reading to what it promises.
func TestReadOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		f := c.Follower()
		read := func(o cluster.ReadOptions) (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			view, err := f.Read(ctx, o)
			if err != nil {
				return "", err
			}
			return versionIn(t, view, "api:a"), nil
		}
		if _, err := read(cluster.ReadOptions{}); err != nil {
			t.Fatal(err)
		}
		c.Net.Isolate(f.ID)
		bump := mustBump(t, c.Leader(f), "api:a", "unseen")
		<-time.After(2 * time.Second)
		if got, err := read(cluster.ReadOptions{Mode: cluster.Stale}); err != nil || got != "1.0.0" {
			t.Errorf("a stale read gave %q, %v", got, err)
		}
		if _, err := read(cluster.ReadOptions{Mode: cluster.Stale, MaxStale: time.Hour}); err != nil {
			t.Errorf("a read that may be an hour old: %v", err)
		}
		if _, err := read(cluster.ReadOptions{Mode: cluster.Stale, MaxStale: time.Second}); !errors.Is(err, cluster.ErrNotReady) {
			t.Errorf("a read that may be a second old, on an isolated node: %v", err)
		}
		want := cluster.ReadOptions{Mode: cluster.Stale, Registry: clustertest.Registry, MinRevision: bump.Revision}
		if _, err := read(want); err == nil {
			t.Error("a read of a revision that cannot be here succeeded")
		}
		time.AfterFunc(time.Second, func() { c.Net.Rejoin(f.ID) })
		if got, err := read(want); err != nil || got != "1.0.1" {
			t.Errorf("a read that waits for a revision gave %q, %v", got, err)
		}
	})
}

// TestLateSnapshot: a follower that missed what the log no longer holds gets a
// snapshot, and its reads are as fresh as anyone's.
func TestLateSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		f := c.Follower()
		c.Crash(f)
		for i := range 20 {
			mustBump(t, c.Leader(f), "api:a", fmt.Sprint(i))
		}
		for _, n := range c.Nodes {
			if n != f {
				if err := n.Current().Snapshot(); err != nil {
					t.Fatal(err)
				}
			}
		}
		mustBump(t, c.Leader(f), "api:a", "after the snapshot")
		c.Start(f)
		c.Ready()
		view, err := f.Read(t.Context(), cluster.ReadOptions{})
		if err != nil || versionIn(t, view, "api:a") != "1.0.21" {
			t.Errorf("a read on the node that caught up: %v", err)
		}
		c.Agree()
		c.Crash(f)
		c.Start(f) // from its own snapshot
		c.Ready()
		c.Agree()
	})
}
