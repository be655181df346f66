package chaos_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// TestBumps has users bump and read while clusters suffer in virtual time.
func TestBumps(t *testing.T) {
	total := &chaos.Report{Counts: make(map[string]int)}
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	ran := 0
	for seed := *first; ran < *seeds || time.Now().Before(end); seed++ {
		ran++
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			began := time.Now()
			synctest.Test(t, func(t *testing.T) { bumps(t, seed, total) })
			t.Logf("in %v", time.Since(began).Round(time.Millisecond))
		})
	}
	effective, without := total.Faults()
	t.Logf("%d seeds: %v of virtual time, %d faults, %d without effect, %d operations: %s", ran, total.Virtual.Round(time.Second), effective, without, total.Operations(), list(total.Counts))
}

func bumps(t *testing.T, seed uint64, total *chaos.Report) {
	o := chaos.BumpOptions{Seed: seed, Storms: 60, Plain: seed%8 == 0, Keyless: seed%4 == 1}
	if seed%4 == 2 {
		o.Web = 4
	}
	if seed%5 == 0 {
		o.Nodes = 5
	}
	r := chaos.RunBumps(t, o)
	for _, err := range append(r.Violations, r.Failures...) {
		t.Error(err)
	}
	effective, without := r.Faults()
	t.Logf("%v of virtual time, %d faults, %d without effect, %d operations, %d revisions, %.1f %% unknown, well again within %v: %s",
		r.Virtual.Round(time.Second), effective, without, r.Operations(), r.Revisions, 100*r.Unknown(), r.Slowest, list(r.Counts))
	for name, n := range r.Counts {
		total.Counts[name] += n
	}
	total.Virtual += r.Virtual
}
