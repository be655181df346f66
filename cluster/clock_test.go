package cluster_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// TestClockJumps: what is stamped never goes back, whatever the leader's clock does.
func TestClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			cfg.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		c.Ready()
		const year = 365 * 24 * time.Hour
		last := int64(0)
		for _, jump := range []time.Duration{0, year, 0, -year} {
			ahead.Store(int64(jump))
			stamp := mustBump(t, c.Leader(), "api:a", "").Transaction.Timestamp
			if stamp < last {
				t.Errorf("with the clock %v ahead a bump is stamped %d, after %d", jump, stamp, last)
			}
			if jump == year && stamp < time.Now().Add(year-time.Minute).UnixMilli() {
				t.Error("the stamp is not the time of the leader's clock")
			}
			last = stamp
		}
		c.Agree()
	})
}
