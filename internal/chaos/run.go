package chaos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/watchcheck"
)

// Options say what a run in virtual time is like.
type Options struct {
	Seed        uint64
	Rounds      int      // of the faults
	Faults      []string // by their names; nil for all, but for those of links
	Watchers    int      // of each way to watch
	HistoryKeep uint64   // as in cluster.Config; above 0 writes go without idempotency keys

	// CatchUp is how long watchers may take to catch up in the end; 0 for two minutes.
	CatchUp time.Duration

	// Faults that are planted, to be found.
	Seams  Seams
	Mutate func(v Peek, node string, s watchcheck.Step) []watchcheck.Step
}

// Peek is what a planted fault may know of the cluster.
type Peek interface {
	// Revision returns the revision that a node has, or any node if it is "any".
	Revision(node string) uint64
	// Given returns how many snapshots nodes were given so far.
	Given() int
}

// Report is what came of a run.
type Report struct {
	Counts     map[string]int
	Revisions  int
	Violations []error
	Failures   []error       // other than violations
	Slowest    time.Duration // to tell all watchers, or to carry out a write after a fault
	Virtual    time.Duration
}

// configure has snapshots come often, and leave little log behind.
func (o *Options) configure(cfg *cluster.Config) {
	cfg.Seed = clustertest.Seed
	cfg.HistoryKeep = o.HistoryKeep
	cfg.SnapshotBytes, cfg.TrailingLogs = 256<<10, 4
}

// The limits of what must happen in the end, when all is well again.
const (
	catchUp = 2 * time.Minute
	prompt  = 500 * time.Millisecond // from a bump's answer to every watcher; well below a heartbeat
)

// Run has writers and watchers at work while a cluster suffers, and returns what came of it.
// It must be called from within a testing/synctest bubble.
func Run(t *testing.T, o Options) *Report {
	t.Helper()
	began := time.Now()
	v := newVirtual(t, shape{nodes: 3, seams: o.Seams, configure: o.configure})
	w := v.world()
	if o.Mutate != nil {
		w.Mutate = func(node string, s watchcheck.Step) []watchcheck.Step { return o.Mutate(v, node, s) }
	}
	watchers := w.Watch(o.Seed, o.Watchers, 5*time.Second)
	v.slow(rand.New(rand.NewPCG(o.Seed, 2)), 2*time.Millisecond, watchers.names()...)
	writers, err := w.Write(o.Seed, Load{Writers: 4, Pause: 150 * time.Millisecond, Keyed: o.HistoryKeep == 0, Reason: 300, Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	in := &injector{v: v, w: w, rng: rand.New(rand.NewPCG(o.Seed, 1)), busy: &busy{}}
	links, healthy := context.WithCancel(context.Background())
	var group sync.WaitGroup
	others := &injector{v: v, w: w, rng: rand.New(rand.NewPCG(o.Seed, 4)), busy: in.busy}
	group.Go(func() { others.links(links, watchers.names()) })
	in.rounds(o.Rounds, o.Faults)
	healthy()
	group.Wait()
	v.Net.HealAll()
	v.Ready()
	writers.Stop()
	slowest := w.Finish(watchers, o.Seed, cmp.Or(o.CatchUp, catchUp), prompt)
	streams := watchers.End()
	h := v.history()
	if err := h.Check(); err != nil {
		w.Fail("%w", err)
	}
	taken, given := v.archive.Snapshots()
	w.Count("snapshots taken", taken)
	w.Count("snapshots given", given)
	r := &Report{
		Counts: w.Counts(), Revisions: len(h.Transactions), Slowest: slowest, Virtual: time.Since(began),
		Failures: append(w.Failures(), w.Compare(h)...),
	}
	for _, found := range watchcheck.CheckComplete(h, streams...) {
		r.Violations = append(r.Violations, found)
	}
	return r
}

// names returns the watchers' names, which are their hosts.
func (ws *Watchers) names() (names []string) {
	for _, n := range ws.all {
		names = append(names, n.name)
	}
	return names
}

// Revision returns the revision that a node has, or any node if it is "any".
func (v *virtual) Revision(node string) (revision uint64) {
	for _, n := range v.Nodes {
		if r, ok := n.View().Registry(clustertest.Registry); ok && (node == n.ID || node == "any") {
			revision = max(revision, r.Revision())
		}
	}
	return revision
}

// Given returns how many snapshots nodes were given so far.
func (v *virtual) Given() int {
	_, given := v.archive.Snapshots()
	return given
}

// Least asks that something happened so many times, at least.
func (r *Report) Least(n int, names ...string) error {
	for _, name := range names {
		if r.Counts[name] < n {
			return fmt.Errorf("only %d of %q, want %d at least", r.Counts[name], name, n)
		}
	}
	return nil
}
