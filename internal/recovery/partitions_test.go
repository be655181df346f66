package recovery_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/recovery"
)

// measurePartitions measures what happens when the network is whole again, in virtual time: what
// was sent meanwhile arrives then, and nothing is lost.
func measurePartitions(t *testing.T) []*recovery.Row {
	var rows []*recovery.Row
	for _, cut := range []time.Duration{3 * time.Second, time.Minute} {
		writes := &recovery.Row{Name: fmt.Sprintf("virtual: the leader was cut off for %v, healed: writes through it", cut), Worst: healedWorst}
		ready := &recovery.Row{Name: "  healed: all ready"}
		apart := &recovery.Row{Name: fmt.Sprintf("virtual: all were cut off for %v, healed: writes again", cut), Worst: healedWorst}
		for round := range *rounds {
			// The moments fall differently each time.
			lasts := cut + time.Duration(round)*1037*time.Millisecond
			synctest.Test(t, func(t *testing.T) {
				w, r := partition(t, lasts, false)
				writes.Times, ready.Times = append(writes.Times, w), append(ready.Times, r)
			})
			synctest.Test(t, func(t *testing.T) {
				w, _ := partition(t, lasts, true)
				apart.Times = append(apart.Times, w)
			})
		}
		rows = append(rows, writes, ready, apart)
	}
	down := &recovery.Row{Name: "virtual: a follower was down for 1m0s: ready, from its start"}
	for round := range *rounds {
		synctest.Test(t, func(t *testing.T) {
			down.Times = append(down.Times, absent(t, time.Minute+time.Duration(round)*1037*time.Millisecond))
		})
	}
	return append(rows, down)
}

// absent returns how long it takes until a follower is ready that did not run for a while.
func absent(t *testing.T, lasts time.Duration) time.Duration {
	c := virtual(t)
	f := c.Follower()
	c.Crash(f)
	<-time.After(lasts)
	moment := time.Now()
	c.Start(f)
	c.Ready()
	return time.Since(moment)
}

// virtual returns a cluster whose messages take a while.
func virtual(t *testing.T) *clustertest.Cluster {
	c := clustertest.New(t, 3, func(cfg *cluster.Config) { cfg.Seed = clustertest.Seed })
	for _, n := range c.Nodes {
		for _, m := range c.Nodes {
			if n != m {
				c.Net.Delay(n.ID, m.ID, func() time.Duration { return 500 * time.Microsecond })
			}
		}
	}
	c.Ready()
	return c
}

// partition cuts the leader of a cluster off, or all nodes from each other, and returns how long after
// that ended a write through the old leader was acknowledged, and all were ready.
func partition(t *testing.T, lasts time.Duration, all bool) (writes, ready time.Duration) {
	c := virtual(t)
	old := c.Leader()
	bump := func(ctx context.Context, _ int) error {
		_, err := old.Propose(ctx, clustertest.Command(fsm.Bump{Scope: fsm.Patch, EntityID: "api:a"}))
		return err
	}
	if err := bump(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	c.Net.Isolate(old.ID)
	if all {
		for _, n := range c.Nodes {
			c.Net.Isolate(n.ID)
		}
	}
	<-time.After(lasts)
	c.Net.HealAll()
	moment := time.Now()
	w := recovery.Start(every, timeout, bump)
	defer w.End()
	writes = again(t, w, moment)
	c.Ready()
	return writes, time.Since(moment)
}
