package cluster_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/clustertest"
)

// far has all nodes 5 ms away from each other, so that an entry takes 10 ms.
func far(c *clustertest.Cluster) {
	for _, a := range c.Nodes {
		for _, b := range c.Nodes {
			c.Net.Delay(a.ID, b.ID, func() time.Duration { return 5 * time.Millisecond })
		}
	}
}

// TestCallersWhoComeAgainShareEntries: eight callers who bump again and again are in each entry, all of them,
// though they begin one after the other.
func TestCallersWhoComeAgainShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader := c.Leader()
		far(c)
		const callers, rounds = 8, 50
		before := leader.View().Index()
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				<-time.After(time.Duration(i) * 2 * time.Millisecond)
				for range rounds {
					mustBump(t, leader, "api:a", "")
					<-time.After(time.Duration(1+i%3) * 300 * time.Microsecond)
				}
			})
		}
		all.Wait()
		if entries := leader.View().Index() - before; entries > rounds+rounds/5 {
			t.Errorf("%d bumps by each of %d callers took %d entries", rounds, callers, entries)
		}
	})
}

// TestCallersWhoComeOnceDoNotWait for each other longer than for the entry that is under way and their own.
func TestCallersWhoComeOnceDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader := c.Leader()
		far(c)
		const callers = 3000
		rng := rand.New(rand.NewPCG(1, 1))
		took := make([]time.Duration, callers)
		var all sync.WaitGroup
		for i := range callers {
			<-time.After(time.Duration(rng.ExpFloat64() * float64(time.Millisecond)))
			all.Go(func() {
				began := time.Now()
				mustBump(t, leader, "api:a", "")
				took[i] = time.Since(began)
			})
		}
		all.Wait()
		slices.Sort(took)
		if p50, p95 := took[callers/2], took[callers*95/100]; p50 > 16*time.Millisecond || p95 > 21*time.Millisecond {
			t.Errorf("half of the bumps took up to %v, and all but a twentieth %v; an entry takes 10ms", p50, p95)
		}
	})
}
