package chaos_test

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// What scripts/chaos sets, for a run that is longer than that of the ordinary tests.
var (
	seeds   = flag.Int("chaos.seeds", 2, "how many seeds to run in virtual time")
	first   = flag.Uint64("chaos.first", 1, "the first of the seeds")
	rounds  = flag.Int("chaos.rounds", 1, "how many rounds of all faults each seed gets")
	minutes = flag.Float64("chaos.minutes", 0, "for how long to begin further seeds, or to let processes suffer; 0 for the short form")
)

// TestVirtual has clusters of whole nodes suffer in virtual time.
func TestVirtual(t *testing.T) {
	if testing.Short() {
		t.Skip("it asks for a least of everything in little time, which the race detector may take; without -short it runs")
	}
	total := make(map[string]int)
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	ran := 0
	for seed := *first; ran < *seeds || time.Now().Before(end); seed++ {
		ran++
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			began := time.Now()
			synctest.Test(t, func(t *testing.T) { virtual(t, seed, total) })
			t.Logf("in %v", time.Since(began).Round(time.Millisecond))
		})
	}
	t.Logf("%d seeds: %s", ran, list(total))
}

func virtual(t *testing.T, seed uint64, total map[string]int) {
	o := chaos.Options{Seed: seed, Rounds: *rounds, Watchers: 5}
	if seed%2 == 0 {
		o.HistoryKeep = 50
	}
	began := time.Now()
	r := chaos.Run(t, o)
	for _, v := range r.Violations {
		t.Error(v)
	}
	for _, err := range r.Failures {
		t.Error(err)
	}
	for _, err := range []error{
		r.Least(1, chaos.WatchFaults()...), r.Least(200, "writes"), r.Least(2000, "events"), r.Least(20, "bookmarks"),
		r.Least(50, "connections"), r.Least(2, "snapshots taken"), r.Least(1, "snapshots given"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := r.Least(1, "gap REVISION_COMPACTED"); err != nil && o.HistoryKeep > 0 {
		t.Error(err)
	}
	for name, n := range r.Counts {
		total[name] += n
	}
	total["revisions"] += r.Revisions
	t.Logf("%v of virtual time, %d revisions, told within %v: %s", time.Since(began).Round(time.Second), r.Revisions, r.Slowest, list(r.Counts))
}

// list writes counts out, by name.
func list(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	return strings.Join(parts, "; ")
}
