package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// mustBump bumps an entity through a node, repeating under one key until the outcome
// is known.
func mustBump(t *testing.T, n *clustertest.Node, id, key string) fsm.Result {
	t.Helper()
	c := patch(id)
	c.Key = key
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		result, err := n.Propose(ctx, c)
		cancel()
		if err == nil {
			if result.Refusal != nil {
				t.Fatalf("bump through %s: %v", n.ID, result.Refusal)
			}
			return result
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("no bump succeeds through %s", n.ID)
	return fsm.Result{}
}

// versionIn returns an entity's version in a view.
func versionIn(t *testing.T, v fsm.View, id string) string {
	t.Helper()
	r, ok := v.Registry(clustertest.Registry)
	if !ok {
		t.Fatal("there is no registry")
	}
	e, _ := r.Entity(id)
	return e.CurrentVersion
}

func TestLeaderCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		for round := range 5 {
			old := c.Leader()
			mustBump(t, old, "api:a", fmt.Sprint("before ", round))
			c.Crash(old)
			began := time.Now()
			result := mustBump(t, c.Follower(), "api:a", fmt.Sprint("after ", round))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("round %d: it took %v until a bump succeeded again", round, took)
			}
			if want := fmt.Sprintf("1.0.%d", 2*round+2); result.Transaction.Changes[0].NewVersion != want {
				t.Errorf("round %d: the bump gave %s, want %s", round, result.Transaction.Changes[0].NewVersion, want)
			}
			c.Start(old)
			c.Ready()
		}
		c.Agree()
	})
}

func TestAllCrashAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		for round := range 3 {
			var last fsm.Result
			for i := range 10 {
				last = mustBump(t, c.Nodes[i%3], "component:a", fmt.Sprint(round, "/", i))
			}
			for _, n := range c.Nodes {
				c.Net.Crash(n.ID)
			}
			for _, n := range c.Nodes {
				c.Crash(n)
			}
			for _, n := range c.Nodes {
				c.Start(n)
			}
			c.Ready()
			view := c.Agree()
			if got, want := versionIn(t, view, "component:a"), last.Transaction.Changes[0].NewVersion; got != want {
				t.Fatalf("after the restart the version is %s, acknowledged was %s", got, want)
			}
		}
	})
}

func TestIsolatedLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		old := c.Leader()
		mustBump(t, old, "api:a", "before")
		c.Net.Isolate(old.ID)

		// A write under way when the leader was cut off: its outcome cannot be known.
		_, err := old.Propose(t.Context(), patch("component:b"))
		if !errors.Is(err, cluster.ErrUnknownOutcome) {
			t.Errorf("a write to the isolated leader: %v, want an unknown outcome", err)
		}
		// One that begins after it has stepped down is certain not to be applied.
		_, err = old.Propose(t.Context(), patch("component:b"))
		if !errors.Is(err, cluster.ErrNoLeader) {
			t.Errorf("a write to the node without a leader: %v, want that there is none", err)
		}
		began := time.Now()
		if _, err := old.Read(t.Context(), cluster.ReadOptions{}); !errors.Is(err, cluster.ErrNoLeader) {
			t.Errorf("a linearizable read there: %v, want that there is no leader", err)
		}
		if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
			t.Errorf("the read waited %v for a leader, want about 2 s", took)
		}
		view, err := old.Read(t.Context(), cluster.ReadOptions{Mode: cluster.Stale})
		if err != nil || versionIn(t, view, "api:a") != "1.0.1" {
			t.Errorf("a stale read there: %v", err)
		}
		if _, err := old.Read(t.Context(), cluster.ReadOptions{Mode: cluster.Stale, MaxStale: time.Second}); err == nil {
			t.Error("a read that may be a second old succeeded without a leader")
		}

		next := c.Leader(old)
		mustBump(t, next, "api:a", "meanwhile")
		c.Net.Rejoin(old.ID)
		c.Ready()
		result := mustBump(t, old, "api:a", "after")
		if got := result.Transaction.Changes[0].NewVersion; got != "1.0.3" {
			t.Errorf("after the heal the version is %s, want 1.0.3", got)
		}
		if got := versionIn(t, c.Agree(), "component:b"); got == "1.0.2" {
			t.Error("a write that was certain not to be applied was applied")
		}
	})
}

func TestIsolatedFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		f := c.Follower()
		c.Net.Isolate(f.ID)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		if _, err := f.Propose(ctx, patch("api:a")); !errors.Is(err, cluster.ErrUnknownOutcome) && !errors.Is(err, cluster.ErrNoLeader) {
			t.Errorf("a write to the isolated follower: %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v to fail", took)
		}
		mustBump(t, c.Leader(f), "api:a", "meanwhile")
		c.Net.Rejoin(f.ID)
		c.Ready()
		c.Agree()
	})
}

// TestDeadlines holds what a deadline means to whether the command was under way.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader := c.Leader()
		for _, n := range c.Nodes {
			if n != leader {
				c.Net.Isolate(n.ID) // nothing commits, but it takes a while until the leader knows
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		var first, second error
		var group sync.WaitGroup
		group.Go(func() { _, first = leader.Propose(ctx, patch("api:a")) })
		synctest.Wait() // the first is under way, so the second stays in the queue
		group.Go(func() { _, second = leader.Propose(ctx, patch("component:b")) })
		group.Wait()
		if !errors.Is(first, cluster.ErrUnknownOutcome) {
			t.Errorf("a deadline passed under way: %v, want an unknown outcome", first)
		}
		if !errors.Is(second, cluster.ErrNotReady) {
			t.Errorf("a deadline passed in the queue: %v, want that nothing was done", second)
		}
		c.Net.HealAll()
		c.Ready()
		if got := versionIn(t, c.Agree(), "component:b"); got != "1.0.0" {
			t.Errorf("the command that was certain not to be applied was: %s", got)
		}
	})
}

// TestRandomFaults lets clients work through all nodes while nodes crash and links are
// cut, and holds every answer against the history.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomFaults(t, seed) })
		})
	}
}

func randomFaults(t *testing.T, seed uint64) {
	const clients, each = 8, 200
	c := clustertest.New(t, 3, seeded)
	c.Ready()
	done := make(chan struct{})
	var faults sync.WaitGroup
	injected := 0
	faults.Go(func() {
		rng := rand.New(rand.NewPCG(seed, 1))
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(rng.IntN(1500)) * time.Millisecond):
			}
			n := c.Nodes[rng.IntN(3)]
			injected++
			switch rng.IntN(4) {
			case 0:
				c.Crash(n)
				<-time.After(time.Duration(rng.IntN(2000)) * time.Millisecond)
				c.Start(n)
			case 1:
				c.Net.Isolate(n.ID)
				<-time.After(time.Duration(rng.IntN(3000)) * time.Millisecond)
				c.Net.Rejoin(n.ID)
			case 2:
				other := c.Nodes[rng.IntN(3)]
				c.Net.Cut(n.ID, other.ID)
				<-time.After(time.Duration(rng.IntN(3000)) * time.Millisecond)
				c.Net.Heal(n.ID, other.ID)
			case 3:
				c.Stop(n)
				c.Start(n)
			}
		}
	})
	var mu sync.Mutex
	given := make(map[string]uint64) // version -> revision
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for j := range each {
				version, revision := bumpAnywhere(t, c, fmt.Sprintf("client %d bump %d", i, j), i+j)
				mu.Lock()
				if other, twice := given[version]; twice {
					t.Errorf("version %s was given at revision %d and at %d", version, other, revision)
				}
				given[version] = revision
				mu.Unlock()
				<-time.After(100 * time.Millisecond)
			}
		})
	}
	group.Wait()
	close(done)
	faults.Wait()
	c.Net.HealAll()
	c.Ready()
	r, _ := c.Agree().Registry(clustertest.Registry)
	bumps := 0
	for transaction, err := range r.History(1) { // the first is the migrate
		if err != nil {
			t.Fatal(err)
		}
		bumps++
		if v := transaction.Changes[0].NewVersion; given[v] != transaction.Revision {
			t.Errorf("version %s is at revision %d in the history, it was acknowledged at %d", v, transaction.Revision, given[v])
		}
	}
	if bumps != clients*each || len(given) != clients*each {
		t.Errorf("%d transactions for %d acknowledged bumps, want %d", bumps, len(given), clients*each)
	}
	if injected < 10 {
		t.Errorf("only %d faults were injected", injected)
	}
	t.Logf("%d bumps, %d faults", bumps, injected)
}

// bumpAnywhere bumps through one node after the other, under one key, until it is
// acknowledged.
func bumpAnywhere(t *testing.T, c *clustertest.Cluster, key string, at int) (version string, revision uint64) {
	command := patch("api:a")
	command.Key = key
	for {
		n := c.Nodes[at%3]
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		result, err := n.Propose(ctx, command)
		cancel()
		if err == nil && result.Refusal == nil {
			return result.Transaction.Changes[0].NewVersion, result.Revision
		} else if err == nil {
			t.Errorf("%s: %v", key, result.Refusal)
		}
		at++
		<-time.After(20 * time.Millisecond)
	}
}
