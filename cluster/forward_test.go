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
// batch is on the way goes after it, together, and not when the batch has come back; but no more than
// four are on the way at a time.
func TestBatchesFollowEachOther(t *testing.T) {
	const (
		distance = 10 * time.Millisecond
		delay    = 600 * time.Microsecond // for others to come along
	)
	for name, tc := range map[string]struct{ asked, ended []time.Duration }{
		"together": {
			[]time.Duration{0, 2000, 2100, 2200, 2300, 2400},
			[]time.Duration{0, 2600, 2600, 2600, 2600, 2600},
		},
		"four at a time": { // the fifth waits for the first to come back, and then for others
			[]time.Duration{0, 1000, 2000, 3000, 4000, 5000, 6000},
			[]time.Duration{0, 1600, 2600, 3600, 10_600, 10_600, 10_600},
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
						<-time.After(asked * time.Microsecond)
						mustBump(t, follower, "api:a", "")
						ended[i] = time.Since(began)
					})
				}
				bumps.Wait()
				for i, sent := range tc.ended {
					// What the leader does with it takes no time here, but for a moment of the network.
					if late := ended[i] - sent*time.Microsecond - distance; late < 0 || late > delay {
						t.Errorf("the bumps came back after %v; that of %v should have after %v", ended,
							tc.asked[i]*time.Microsecond, sent*time.Microsecond+distance)
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
		const asked = 7
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
		if unknown != 4 || refused != 3 {
			t.Errorf("%d bumps have an unknown outcome and %d were refused, want 4 and 3", unknown, refused)
		}
	})
}
