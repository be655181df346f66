package chaos_test

import (
	"encoding/csv"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// What scripts/chaos bumps sets beside the rest.
var (
	bumpSeeds = flag.Int("chaos.bumpseeds", 6, "how many seeds of bumps to run at least")
	storms    = flag.Int("chaos.storms", 60, "how many storms each seed of bumps gets")
	ledger    = flag.String("chaos.ledger", "", "a file of comma-separated values to append what the run comes to")
	commit    = flag.String("chaos.commit", "unknown", "the commit that the ledger names")
)

// TestBumps has users bump and read while clusters suffer in virtual time.
func TestBumps(t *testing.T) {
	least := *bumpSeeds
	if testing.Short() {
		least = min(least, 2)
	}
	total, violations := &chaos.Report{Counts: make(map[string]int)}, 0
	began := time.Now()
	end := began.Add(time.Duration(*minutes * float64(time.Minute)))
	ran := 0
	for seed := *first; ran < least || time.Now().Before(end); seed++ {
		ran++
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			violations++ // unless it comes to an end
			var r *chaos.Report
			synctest.Test(t, func(t *testing.T) { r = chaos.RunBumps(t, bumpOptions(seed)) })
			found := append(r.Violations, r.Failures...)
			for _, err := range found {
				t.Error(err)
			}
			violations += len(found) - 1
			t.Log(summary(r))
			total.Add(r)
		})
	}
	effective, _ := total.Faults()
	t.Logf("%d seeds in %v, %d violations: %s", ran, time.Since(began).Round(time.Second), violations, summary(total))
	t.Log(list(total.Counts))
	switch {
	case total.Operations() < 2000*ran || effective < *storms/4*ran:
		t.Error("too little has happened for it to prove anything")
	case total.Unknown() > 0.2:
		t.Errorf("of %.0f %% of the writes nobody knows the outcome", 100*total.Unknown())
	}
	classes := chaos.FrequentFaults()
	if ran >= 20 { // the others are rare
		classes = chaos.StormFaults()
	}
	if err := total.Least(1, classes...); err != nil && ran >= 4 {
		t.Error(err)
	}
	if *ledger != "" {
		if err := enter(*ledger, "virtual", total, ran, violations); err != nil {
			t.Error(err)
		}
	}
}

// bumpOptions makes up what a seed is like: mostly three nodes and users of the nodes themselves,
// since those cost little.
func bumpOptions(seed uint64) chaos.BumpOptions {
	o := chaos.BumpOptions{Seed: seed, Storms: *storms, Direct: 12, Think: 60 * time.Millisecond, Keyless: seed%4 == 1}
	if seed%8 == 3 {
		o.Direct, o.Think, o.Storms = 96, 20*time.Millisecond, o.Storms/2
	}
	if seed%5 == 0 {
		o.Nodes = 5
	}
	if seed%8 == 2 {
		o.Web = 4
	}
	if seed%16 == 4 {
		o.Plain, o.Think = true, 10*o.Think
	}
	return o
}

func summary(r *chaos.Report) string {
	effective, without := r.Faults()
	return fmt.Sprintf("%v of virtual time, %d faults and %d without effect, %d operations, %.1f %% of the writes unknown, well again within %v",
		r.Virtual.Round(time.Second), effective, without, r.Operations(), 100*r.Unknown(), r.Slowest)
}

// enter appends a line to the ledger. kind is what the time is: virtual or real.
func enter(file, kind string, r *chaos.Report, seeds, violations int) error {
	_, err := os.Stat(file)
	fresh := os.IsNotExist(err)
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, fs.FileMode(0o644))
	if err != nil {
		return err
	}
	defer f.Close()
	effective, without := r.Faults()
	var classes []string
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		if class, ok := strings.CutPrefix(name, "fault: "); ok {
			classes = append(classes, fmt.Sprintf("%s %d", class, r.Counts[name]))
		}
	}
	w := csv.NewWriter(f)
	if fresh {
		w.Write([]string{"date", "commit", "time", "first seed", "seeds", "seconds", "operations", "acknowledged", "refused",
			"not applied", "unknown", "reads", "faults", "faults without effect", "violations", "faults by class"})
	}
	count := func(name string) string { return strconv.Itoa(r.Counts[name]) }
	w.Write([]string{
		time.Now().UTC().Format(time.DateOnly), *commit, kind, strconv.FormatUint(*first, 10), strconv.Itoa(seeds),
		strconv.Itoa(int(r.Virtual.Seconds())), strconv.Itoa(r.Operations()), count("writes acknowledged"), count("writes refused"),
		count("writes not applied"), count("writes of unknown outcome"), count("reads"), strconv.Itoa(effective),
		strconv.Itoa(without), strconv.Itoa(violations), strings.Join(classes, "; "),
	})
	w.Flush()
	return w.Error()
}
