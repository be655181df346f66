package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// distant returns a cluster, and its leader, of nodes that are 5 ms away from each other: an entry takes 10 ms.
func distant(t *testing.T) (*clustertest.Cluster, *clustertest.Node) {
	c := clustertest.New(t, 3, seeded)
	c.Ready()
	leader := c.Leader()
	for _, a := range c.Nodes {
		for _, b := range c.Nodes {
			c.Net.Delay(a.ID, b.ID, func() time.Duration { return 5 * time.Millisecond })
		}
	}
	return c, leader
}

// TestCallersWhoComeAgainShareEntries: eight callers who bump again and again are in each entry, all of them,
// though they begin one after the other.
func TestCallersWhoComeAgainShareEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, leader := distant(t)
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

// TestCallersWhoComeOnceDoNotWait for each other longer than for the entry that is under way and their own, however
// many they are, but for a few at the beginning, when tries are frequent.
func TestCallersWhoComeOnceDoNotWait(t *testing.T) {
	for _, perSecond := range []int{30, 100, 300, 1000} {
		t.Run(fmt.Sprint(perSecond), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, leader := distant(t)
				callers := max(1000, 4*perSecond)
				rng := rand.New(rand.NewPCG(1, 1))
				took := make([]time.Duration, callers)
				var all sync.WaitGroup
				for i := range callers {
					<-time.After(time.Duration(rng.ExpFloat64() * float64(time.Second) / float64(perSecond)))
					all.Go(func() {
						began := time.Now()
						mustBump(t, leader, "api:a", "")
						took[i] = time.Since(began)
					})
				}
				all.Wait()
				early, later := took[:callers/4], took[callers/4:]
				for _, part := range []struct {
					bumps []time.Duration
					most  time.Duration
				}{{early, 28 * time.Millisecond}, {later, 21 * time.Millisecond}} {
					slices.Sort(part.bumps)
					n := len(part.bumps)
					if p50, p95 := part.bumps[n/2], part.bumps[n*95/100]; p50 > 16*time.Millisecond || p95 > part.most {
						t.Errorf("of %d bumps half took up to %v, and all but a twentieth %v; an entry takes 10ms", n, p50, p95)
					}
				}
			})
		})
	}
}

// TestCallersWhoTakeTheirTime hold up one who does not no more than they would if entries did not wait. Then,
// of two, each would wait for the entry of the other as well as for its own.
func TestCallersWhoTakeTheirTime(t *testing.T) {
	for pause, most := range map[time.Duration]time.Duration{2: 13, 4: 15, 8: 19, 15: 16, 19: 16, 30: 14} {
		t.Run((pause * time.Millisecond).String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, leader := distant(t)
				ctx, cancel := context.WithCancel(t.Context())
				var slow sync.WaitGroup
				slow.Go(func() {
					for ctx.Err() == nil {
						mustBump(t, leader, "api:a", "")
						<-time.After(pause * time.Millisecond)
					}
				})
				began := time.Now()
				const bumps = 300
				for range bumps {
					mustBump(t, leader, "api:a", "")
				}
				if each := time.Since(began) / bumps; each > most*time.Millisecond {
					t.Errorf("a bump took %v beside a caller who pauses for %v; want at most %v", each, pause*time.Millisecond, most*time.Millisecond)
				}
				cancel()
				slow.Wait()
			})
		})
	}
}

// TestTheLastCaller waits for those who have gone a few times at most. If the node stops soon after it came, it is
// told what became of its command.
func TestTheLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leader := distant(t)
		crowd := func() {
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 20 {
						mustBump(t, leader, "api:a", "")
					}
				})
			}
			all.Wait()
		}
		crowd()
		began := time.Now()
		for range 10 {
			mustBump(t, leader, "api:a", "")
		}
		if late := time.Since(began) - 10*10*time.Millisecond; late > 25*time.Millisecond {
			t.Errorf("the last caller waited %v for the others", late)
		}
		crowd()
		crowd() // the pause after the try that failed is over
		before := revision(leader)
		failed := make(chan error)
		go func() {
			_, err := leader.Propose(context.WithoutCancel(t.Context()), patch("api:a"))
			failed <- err
		}()
		<-time.After(2 * time.Millisecond)
		go c.Stop(leader)
		err := <-failed
		next := c.Leader(leader)
		mustBump(t, next, "api:a", "")
		switch after := revision(next); {
		case err == nil && after == before+2, errors.Is(err, cluster.ErrShuttingDown) && after == before+1:
		default:
			t.Errorf("a bump while the node stopped ended with %v; the revision was %d, and is %d one bump later", err, before, after)
		}
	})
}
