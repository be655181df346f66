package chaos_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/chaos"
)

// What scripts/chaos bumps --processes sets beside the rest.
var (
	clusters = flag.Int("chaos.clusters", 3, "how many clusters of processes suffer side by side")
	given    = flag.String("chaos.binary", "", "the command that the processes run; built if it is not given")
	only     = flag.String("chaos.only", "", "faults of processes whose names this regular expression is in")
	nodes    = flag.Int("chaos.nodes", 0, "how many processes a cluster has, 3 to 5; 0 leaves that to its seed")
)

// signingKey is what the processes sign with.
const signingKey = "a key that is long enough to sign with"

// TestBumpProcesses has users bump, put, delete and read while real processes suffer: some clusters
// side by side, since one waits more than it works. Each has a seed of its own, and after some
// storms it is held to account and another takes its place.
func TestBumpProcesses(t *testing.T) {
	if *minutes == 0 && *faults == 0 {
		t.Skip("it takes minutes; scripts/chaos bumps --processes runs it")
	}
	t.Setenv("VERSION_SIGNING_KEY", signingKey)
	binary := *given
	if binary == "" {
		var err error
		if binary, err = build(t.TempDir()); err != nil {
			t.Fatal(err)
		}
	}
	c := newCampaign(t, binary)
	var group sync.WaitGroup
	for range *clusters {
		group.Go(func() {
			for first := true; first || c.more(); first = false {
				seed := c.seed()
				t.Run(fmt.Sprint(seed), func(t *testing.T) { c.live(t, seed) })
			}
		})
	}
	group.Wait()
	r := c.total
	r.Virtual = time.Since(c.began)
	effective, without := r.Faults()
	t.Logf("%d clusters, %d at a time, in %v: %d faults and %d without effect, %.0f an hour, %d operations, %.1f %% of the writes unknown, %d revisions, well again within %v, %d violations",
		c.lives, *clusters, r.Virtual.Round(time.Second), effective, without, float64(effective)/r.Virtual.Hours(), r.Operations(),
		100*r.Unknown(), r.Revisions, r.Slowest.Round(time.Millisecond), c.violations)
	t.Log(list(r.Counts))
	if names := c.agenda.missed(); len(names) > 0 {
		t.Logf("these never had an effect: %s", strings.Join(names, ", "))
	}
	if effective < leastFaults() || r.Operations() < leastOperations() {
		t.Errorf("%d faults and %d operations, want %d and %d at least", effective, r.Operations(), leastFaults(), leastOperations())
	}
	switch dark, keyless := r.Counts["writes of unknown outcome"], r.Counts["writes without a key"]; {
	case dark > keyless/5:
		t.Errorf("nobody knows the outcome of %d writes, and %d had no key", dark, keyless)
	case dark == 0 && *only == "":
		t.Error("there is no write of which nobody knows the outcome: nobody was in the dark, or everyone had a key")
	}
	if *ledger != "" {
		if err := enter(*ledger, "real", r, c.lives, c.violations); err != nil {
			t.Error(err)
		}
	}
}

// A run must come to so much at least: less proves nothing.
func leastFaults() int     { return max(10, *faults) }
func leastOperations() int { return max(10_000, *operations) }

// campaign is all clusters of a run, what they came to, and what is still to come.
type campaign struct {
	t          *testing.T
	binary     string
	here       environment
	only       *regexp.Regexp
	began      time.Time
	end, limit time.Time

	agenda *agenda // of the kinds of faults

	mu         sync.Mutex
	lives      int
	living     map[*ordeal]bool
	total      *chaos.Report
	violations int
}

func newCampaign(t *testing.T, binary string) *campaign {
	now := time.Now()
	c := &campaign{
		t: t, binary: binary, here: here(t), only: regexp.MustCompile(*only), began: now, end: now.Add(time.Duration(*minutes * float64(time.Minute))),
		living: make(map[*ordeal]bool), total: &chaos.Report{Counts: make(map[string]int)},
	}
	c.limit = c.end.Add(10 * time.Minute)
	kinds := c.kinds()
	rand.New(rand.NewPCG(*first, 9)).Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	c.agenda = newAgenda(kinds)
	return c
}

// sofar returns how many faults had an effect, and how many operations there were.
func (c *campaign) sofar() (effective, done int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	effective, _ = c.total.Faults()
	done = c.total.Operations()
	for o := range c.living {
		n, _ := (&chaos.Report{Counts: o.w.Counts()}).Faults()
		effective, done = effective+n, done+int(o.visitors.Operations())
	}
	return effective, done
}

// tried reports whether no kind of fault is due any more, and enough of them had an effect.
func (c *campaign) tried() bool {
	effective, _ := c.sofar()
	return effective >= leastFaults() && c.agenda.done()
}

// more reports whether more has to happen: the time is not up, or too little did.
func (c *campaign) more() bool {
	_, done := c.sofar()
	tried, now := c.tried(), time.Now()
	switch {
	case c.t.Failed():
		return false
	case tried && done >= leastOperations():
		return now.Before(c.end)
	}
	return now.Before(c.limit)
}

// seed returns that of the next cluster.
func (c *campaign) seed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lives++
	return *first + uint64(c.lives) - 1
}

// mostStorms is how many storms a cluster goes through: with a long history it takes long to start a node.
const mostStorms = 40

// live is the life of a cluster.
func (c *campaign) live(t *testing.T, seed uint64) {
	o := newOrdeal(t, c, seed)
	c.mu.Lock()
	c.living[o] = true
	c.mu.Unlock()
	var r *chaos.Report
	defer func() { // also if the cluster failed the test
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.living, o)
		if r == nil {
			r = &chaos.Report{Counts: o.w.Counts(), Failures: append(o.w.Failures(), errors.New("it came to no end"))}
			for _, err := range r.Failures {
				t.Error(err)
			}
		}
		c.total.Add(r)
		c.violations += len(r.Violations) + len(r.Failures)
	}()
	for storms := 0; storms < mostStorms && (storms == 0 || c.more()); {
		if storms > 0 && c.tried() && time.Now().After(c.end) { // it is the operations that are missing
			<-time.After(time.Second)
			continue
		}
		if err := o.round(); err != nil {
			t.Fatal(err)
		}
		storms++
	}
	r = o.end()
	for _, v := range append(r.Violations, r.Failures...) {
		t.Error(v)
	}
}
