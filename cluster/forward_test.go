package cluster_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// TestBatchesFollowEachOther: the leader is 10 ms away from a follower. What the follower takes in while a
// batch is on the way goes after it at once, and not when the batch has come back; but no more than
// eight are on the way at a time.
func TestBatchesFollowEachOther(t *testing.T) {
	const distance = 10 * time.Millisecond
	each := func(n int, apart, late time.Duration) (all []time.Duration) {
		for i := range n {
			all = append(all, time.Duration(i)*apart+late)
		}
		return all
	}
	for name, tc := range map[string]struct{ asked, ended []time.Duration }{
		"at once": {each(4, 2*time.Millisecond, 0), each(4, 2*time.Millisecond, distance)},
		"eight at a time": { // two more wait for the first to come back
			append(each(8, time.Millisecond, 0), 8*time.Millisecond, 9*time.Millisecond),
			append(each(8, time.Millisecond, distance), 2*distance, 2*distance),
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.New(t, 3, seeded)
				c.Ready()
				leader, follower := c.Leader(), c.Follower()
				mustBump(t, follower, "api:a", "") // the connection is there
				c.Net.Delay(follower.ID, leader.ID, func() time.Duration { return distance })
				began := time.Now()
				ended := make([]time.Duration, len(tc.asked))
				var bumps sync.WaitGroup
				for i, asked := range tc.asked {
					bumps.Go(func() {
						<-time.After(asked)
						mustBump(t, follower, "api:a", "")
						ended[i] = time.Since(began)
					})
				}
				bumps.Wait()
				for i, want := range tc.ended {
					// What the leader does with it takes no time here, but for a moment of the network.
					if late := ended[i] - want; late < 0 || late > 400*time.Microsecond {
						t.Errorf("the bumps came back after %v; want %v", ended, tc.ended)
						break
					}
				}
			})
		})
	}
}

// TestStopDecidesBatches: a node that stops says of everything that it sent that the outcome is unknown, and of
// everything else that it is not applied.
func TestStopDecidesBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader, follower := c.Leader(), c.Follower()
		mustBump(t, follower, "api:a", "")
		c.Net.Cut(leader.ID, follower.ID) // no answer comes back
		const asked = 11
		errs := make(chan error, asked)
		for range asked {
			go func() {
				_, err := follower.Propose(context.WithoutCancel(t.Context()), patch("api:a"))
				errs <- err
			}()
			<-time.After(time.Millisecond)
		}
		c.Stop(follower)
		unknown, refused := 0, 0
		for range asked {
			switch err := <-errs; {
			case errors.Is(err, cluster.ErrUnknownOutcome):
				unknown++
			case errors.Is(err, cluster.ErrShuttingDown):
				refused++
			default:
				t.Errorf("a bump ended with %v", err)
			}
		}
		if unknown != 8 || refused != 3 {
			t.Errorf("%d bumps have an unknown outcome and %d were refused, want 8 and 3", unknown, refused)
		}
	})
}
