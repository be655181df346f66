package chaos_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// What scripts/chaos bumps sets beside the rest.
var (
	bumpSeeds  = flag.Int("chaos.bumpseeds", 12, "how many seeds of bumps to run at least")
	storms     = flag.Int("chaos.storms", 20, "how many storms each seed of bumps gets")
	jobs       = flag.Int("chaos.jobs", 0, "how many processes of one core each run seeds of bumps; 0 for this one alone")
	memory     = flag.Int("chaos.memory", 2048, "how many MB of memory each of these processes may hold")
	isWorker   = flag.Bool("chaos.worker", false, "run the seeds of bumps that standard input names")
	faults     = flag.Int("chaos.faults", 0, "how many faults with an effect the seeds of bumps must come to")
	operations = flag.Int("chaos.operations", 0, "how many operations the seeds of bumps must come to")
	ledger     = flag.String("chaos.ledger", "", "a file of comma-separated values to append what the run comes to")
	commit     = flag.String("chaos.commit", "unknown", "the commit that the ledger names")
)

// TestBumps has users bump and read while clusters suffer in virtual time.
func TestBumps(t *testing.T) {
	least := *bumpSeeds
	if testing.Short() {
		least = min(least, 3)
	}
	began := time.Now()
	end := began.Add(time.Duration(*minutes * float64(time.Minute)))
	total, ran := &chaos.Report{Counts: make(map[string]int)}, 0
	var violations []string
	seeds := func() (seed uint64, ok bool) {
		if ok = ran < least || time.Now().Before(end); ok {
			ran++
		}
		return *first + uint64(ran) - 1, ok
	}
	each := func(o outcome) {
		for _, found := range o.Found {
			violations = append(violations, fmt.Sprintf("seed %d: %s", o.Seed, found))
			t.Log("VIOLATION:", violations[len(violations)-1])
		}
		if o.Report != nil {
			t.Logf("seed %d: %s", o.Seed, summary(o.Report))
			total.Add(o.Report)
		}
	}
	if *jobs > 0 {
		farm(t, *jobs, seeds, each)
	} else {
		for seed, ok := seeds(); ok; seed, ok = seeds() {
			t.Run(fmt.Sprint(seed), func(t *testing.T) { each(runSeed(t, seed)) })
		}
	}
	effective, _ := total.Faults()
	t.Logf("%d seeds in %v, %d violations: %s", ran, time.Since(began).Round(time.Second), len(violations), summary(total))
	t.Log(list(total.Counts))
	for _, v := range violations { // last, where whoever is shown the end of a long log finds them
		t.Error(v)
	}
	enough(t, total, ran)
	if effective < *faults || total.Operations() < *operations {
		t.Errorf("%d faults and %d operations, want %d and %d at least", effective, total.Operations(), *faults, *operations)
	}
	if *ledger != "" {
		if err := enter(*ledger, "virtual", total, ran, len(violations)); err != nil {
			t.Error(err)
		}
	}
}

// enough asks of some seeds that what they came to can prove something.
func enough(t *testing.T, total *chaos.Report, seeds int) {
	effective, _ := total.Faults()
	switch {
	case total.Operations() < 1000*seeds || effective < *storms*seeds:
		t.Error("too little has happened for it to prove anything")
	case total.Unknown() > 0.2:
		t.Errorf("of %.0f %% of the writes nobody knows the outcome", 100*total.Unknown())
	}
	classes := chaos.FrequentFaults()
	if seeds >= 40 { // the others are rare
		classes = chaos.StormFaults()
	}
	if err := total.Least(1, classes...); err != nil && seeds >= 12 {
		t.Error(err)
	}
}

// bumpOptions makes up what a seed is like: mostly three nodes and few users of the nodes themselves,
// since those cost little. Many users cost little for what they do, since they share rounds.
func bumpOptions(seed uint64) chaos.BumpOptions {
	o := chaos.BumpOptions{Seed: seed, Storms: *storms, Direct: 12, Think: 60 * time.Millisecond, Keyless: seed%4 == 1}
	switch {
	case seed%6 == 3:
		o.Direct, o.Think, o.Storms = 160, 10*time.Millisecond, o.Storms/2
	case seed%16 == 7: // a long history
		o.Storms *= 3
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

// enter appends a line to the ledger. kind is what the time is: virtual or real. Columns that were added
// since the ledger was begun are left out, so that all of its lines have the same.
func enter(file, kind string, r *chaos.Report, seeds, violations int) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_RDWR, fs.FileMode(0o644))
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	columns, err := csv.NewReader(f).Read()
	if errors.Is(err, io.EOF) { // it is new
		columns = []string{"date", "commit", "time", "first seed", "seeds", "seconds", "operations", "acknowledged", "refused",
			"not applied", "unknown", "reads", "faults", "faults without effect", "violations", "faults by class", "attempts of unknown outcome"}
		err = w.Write(columns)
	}
	if err != nil {
		return err
	}
	effective, without := r.Faults()
	var classes []string
	for _, name := range slices.Sorted(maps.Keys(r.Counts)) {
		if class, ok := strings.CutPrefix(name, "fault: "); ok {
			classes = append(classes, fmt.Sprintf("%s %d", class, r.Counts[name]))
		}
	}
	count := func(name string) string { return strconv.Itoa(r.Counts[name]) }
	line := []string{
		time.Now().UTC().Format(time.DateOnly), *commit, kind, strconv.FormatUint(*first, 10), strconv.Itoa(seeds),
		strconv.Itoa(int(r.Virtual.Seconds())), strconv.Itoa(r.Operations()), count("writes acknowledged"), count("writes refused"),
		count("writes not applied"), count("writes of unknown outcome"), count("reads"), strconv.Itoa(effective),
		strconv.Itoa(without), strconv.Itoa(violations), strings.Join(classes, "; "), count("attempts of unknown outcome"),
	}
	if err := w.Write(line[:min(len(line), len(columns))]); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// TestLedgerKeepsItsColumns enters runs in a new ledger, and in one that was begun before the last column was added.
func TestLedgerKeepsItsColumns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.csv")
	r := &chaos.Report{Counts: map[string]int{"attempts of unknown outcome": 7, "fault: killed": 2}}
	read := func() (lines [][]string) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if lines, err = csv.NewReader(bytes.NewReader(text)).ReadAll(); err != nil {
			t.Fatal(err)
		}
		return lines
	}
	enterTwice := func() {
		t.Helper()
		for range 2 {
			if err := enter(file, "real", r, 1, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	enterTwice()
	if lines := read(); len(lines) != 3 || lines[2][15] != "killed 2" || lines[2][16] != "7" {
		t.Errorf("the new ledger has %v", lines)
	}
	head, _, _ := strings.Cut(strings.Join(read()[0], ","), ",attempts of")
	if err := os.WriteFile(file, []byte(head+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	enterTwice()
	if lines := read(); len(lines) != 3 || len(lines[2]) != 16 || lines[2][15] != "killed 2" {
		t.Errorf("the old ledger has %v", lines)
	}
}
