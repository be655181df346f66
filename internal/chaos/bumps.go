package chaos

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/watchcheck"
)

// BumpOptions say what a run with bumps and reads in virtual time is like.
type BumpOptions struct {
	Seed   uint64
	Storms int      // of one to three faults at once
	Faults []string // by their names; nil for all

	Nodes   int           // 0 for 3, or with some seeds 5
	Direct  int           // users who speak to nodes in their own process; 0 for 48
	Web     int           // users over HTTP
	Think   time.Duration // up to so long between two requests of a user; 0 for 100 ms
	Plain   bool          // default timings, and so longer faults; else elections take a tenth of the time
	Seldom  int           // one in so many writes repeats one that was answered before; 0 for 64
	Keyless bool          // no user has idempotency keys, and the history is compacted; else one in four has none

	Seams Seams // faults that are planted, to be found
}

func (o *BumpOptions) withDefaults() {
	set := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	set(&o.Nodes, 3)
	set(&o.Direct, 48)
	set(&o.Seldom, 64)
	if o.Think == 0 {
		o.Think = 100 * time.Millisecond
	}
	if o.Faults == nil {
		o.Faults = StormFaults()
	}
}

// configure shortens what decides how long an election takes, all in proportion, and has
// snapshots come often.
func (o *BumpOptions) configure(cfg *cluster.Config) {
	cfg.Seed = func() (fsm.Migrate, error) { return fsm.Migrate{Source: "test", Entities: entities()}, nil }
	cfg.SnapshotBytes, cfg.TrailingLogs = 128<<10, 4
	if o.Keyless {
		cfg.HistoryKeep = 50
	}
	if !o.Plain {
		cfg.Timing = cluster.Timing{
			Heartbeat: 50 * time.Millisecond, LeaderLease: 40 * time.Millisecond, Commit: 15 * time.Millisecond,
			LeaderWait: 200 * time.Millisecond, Stop: 200 * time.Millisecond,
		}
	}
}

// brisk is more requests than users come to whose cluster does not keep anyone waiting.
const brisk = 150_000

// RunBumps has users bump, put and read while a cluster suffers, and returns what came of it.
// It must be called from within a testing/synctest bubble, which fails if a goroutine is left
// behind.
func RunBumps(t *testing.T, o BumpOptions) *Report {
	t.Helper()
	o.withDefaults()
	began := time.Now()
	v := newVirtual(t, shape{nodes: o.Nodes, mute: o.Web == 0, seams: o.Seams, configure: o.configure})
	w := v.world()
	w.SnapshotsTake = 60 * v.unit
	v.slow(rand.New(rand.NewPCG(o.Seed, 2)), 2*time.Millisecond)
	c := &crowd{v: v, w: w, unit: v.unit, think: o.Think, brisk: brisk, keyed: !o.Keyless, seldom: o.Seldom, reads: 8}
	if err := c.gather(o.Seed, o.Direct, o.Web); err != nil {
		t.Fatal(err)
	}
	defer c.disperse()
	in := &injector{v: v, w: w, rng: rand.New(rand.NewPCG(o.Seed, 1)), busy: &busy{}}
	slowest := in.storms(c, o.Storms, o.Faults)
	in.tidy()
	record := c.end()
	r := &Report{Slowest: slowest}
	if h := in.history(); h != nil {
		r.Revisions = len(h.Transactions)
		if err := h.Check(); err != nil {
			w.Fail("%w", err)
		}
		for _, found := range bumpcheck.Check(h, record) {
			r.Violations = append(r.Violations, found)
		}
	}
	taken, given := v.archive.Snapshots()
	w.Count("snapshots taken", taken)
	w.Count("snapshots given", given)
	r.Counts, r.Failures, r.Virtual = w.Counts(), w.Failures(), time.Since(began)
	return r
}

// tidy has every node run that is a member, and no other, since of a change of the members it
// may be unknown what came of it. Then all must be ready.
func (in *injector) tidy() {
	var by *clustertest.Node
	in.until(time.Minute, func() bool { in.supervise(); by = in.leader(); return by != nil })
	if by == nil {
		in.w.Fail("there is no leader in the end")
		return
	}
	members := in.members(by)
	for _, n := range in.v.Nodes {
		switch _, member := members[n.ID]; {
		case member && !n.Running():
			in.start(n)
		case !member && n.Running():
			in.v.crash(n)
		}
	}
	in.until(time.Minute, func() bool { in.supervise(); _, _, ok := in.unready(); return !ok })
	if n, check, ok := in.unready(); ok {
		in.v.mu.Lock()
		defer in.v.mu.Unlock()
		in.w.Fail("%s is not ready in the end: %s, %s; it last stopped by itself for: %v", n.ID, check.Name, check.Detail, in.v.ended[n])
	}
}

// unready returns a running node that is not ready, and why; ok is false if there is none.
func (in *injector) unready() (n *clustertest.Node, why cluster.Check, ok bool) {
	for _, n := range in.v.Nodes {
		if check, unready := n.Check(); n.Running() && unready {
			return n, check, true
		}
	}
	return nil, why, false
}

// agree waits until all running nodes have applied the same index, and returns their state
// there. Where one has another state, or none that old, it fails the run.
func (in *injector) agree() (agreed fsm.View, ok bool) {
	var views []fsm.View
	reached := in.until(time.Minute, func() bool {
		views = views[:0]
		for _, n := range in.v.Nodes {
			if n.Running() {
				views = append(views, n.View())
			}
		}
		for _, v := range views {
			if v.Index() != views[0].Index() {
				return false
			}
		}
		return len(views) > 0
	})
	if !reached {
		in.w.Fail("the nodes do not reach one applied index")
		return fsm.View{}, false
	}
	for _, v := range views {
		if v.StateHash() != views[0].StateHash() {
			in.w.Fail("the nodes have different states at index %d", v.Index())
		}
	}
	return views[0], true
}

// history is what must have happened, as the checker of bumps takes it, by the log that all
// nodes must have the same; nil if they have not.
func (in *injector) history() *bumpcheck.History {
	agreed, ok := in.agree()
	if !ok {
		return nil
	}
	for _, err := range in.v.archive.Check(agreed.Index()) {
		in.w.Fail("%w", err)
	}
	h := &bumpcheck.History{History: &watchcheck.History{ClusterID: agreed.Cluster().ClusterID}, Seed: seeded()}
	end, err := in.v.archive.Replay(agreed.Index(), func(_ fsm.View, results []fsm.Result) {
		for _, r := range results {
			if r.Transaction == nil || r.Replayed || r.Registry != clustertest.Registry {
				continue
			}
			h.Transactions = append(h.Transactions, transactionOf(r.Transaction))
			h.Names = append(h.Names, nameOf(r.Transaction.Actor, r.Transaction.Request))
		}
	})
	if err != nil {
		in.w.Fail("%w", err)
		return nil
	}
	if end.StateHash() != agreed.StateHash() {
		in.w.Fail("the nodes have another state than their logs come to")
	}
	h.Sign = signer(agreed.Cluster().Key)
	return h
}

// signer returns what signs receipts with a key.
func signer(key []byte) func(payload string) string {
	return func(payload string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(payload))
		return hex.EncodeToString(mac.Sum(nil))
	}
}

// Add adds what came of another run.
func (r *Report) Add(other *Report) {
	for name, n := range other.Counts { // any order
		r.Counts[name] += n
	}
	r.Virtual += other.Virtual
	r.Slowest = max(r.Slowest, other.Slowest)
	r.Revisions += other.Revisions
}

// Faults returns how many faults had an effect, and how many had none.
func (r *Report) Faults() (effective, without int) {
	for name, n := range r.Counts {
		switch {
		case strings.HasPrefix(name, "fault: "):
			effective += n
		case strings.HasPrefix(name, ineffective):
			without += n
		}
	}
	return effective, without
}

// Operations returns how many reads and writes users were answered, or not.
func (r *Report) Operations() int {
	return r.Counts[countReads] + r.Counts[countReadsFailed] + r.Writes()
}

// Writes returns how many writes users asked for.
func (r *Report) Writes() int {
	return r.Counts[countAcknowledged] + r.Counts[countRefused] + r.Counts[countNotApplied] + r.Counts[countUnknown]
}

// Unknown returns which part of the writes nobody knows the outcome of.
func (r *Report) Unknown() float64 {
	return float64(r.Counts[countUnknown]) / float64(max(r.Writes(), 1))
}
