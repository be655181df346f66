package chaos

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
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
	Keyless bool          // direct users have no idempotency keys, and the history is compacted

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
	cfg.SnapshotBytes, cfg.TrailingLogs = 16<<10, 8
	if o.Keyless {
		cfg.HistoryKeep = 50
	}
	if !o.Plain {
		cfg.Timing = cluster.Timing{
			Heartbeat: 50 * time.Millisecond, LeaderLease: 40 * time.Millisecond, Commit: 5 * time.Millisecond,
			LeaderWait: 200 * time.Millisecond, Stop: 200 * time.Millisecond,
		}
	}
}

// RunBumps has users bump, put and read while a cluster suffers, and returns what came of it.
// It must be called from within a testing/synctest bubble, which fails if a goroutine is left
// behind.
func RunBumps(t *testing.T, o BumpOptions) *Report {
	t.Helper()
	o.withDefaults()
	began := time.Now()
	v := newVirtual(t, shape{nodes: o.Nodes, mute: o.Web == 0, seams: o.Seams, configure: o.configure})
	w := v.world()
	w.SnapshotsTake = 10 * v.unit
	v.slow(rand.New(rand.NewPCG(o.Seed, 2)), 2*time.Millisecond)
	c := &crowd{v: v, w: w, think: o.Think, keyed: !o.Keyless}
	if err := c.gather(o.Seed, o.Direct, o.Web); err != nil {
		t.Fatal(err)
	}
	defer c.disperse()
	in := &injector{v: v, w: w, rng: rand.New(rand.NewPCG(o.Seed, 1)), busy: &busy{}}
	slowest := in.storms(c, o.Storms, o.Faults)
	in.tidy()
	v.Ready()
	record := c.end()
	r := &Report{Slowest: slowest, Virtual: time.Since(began)}
	h := v.named()
	if err := h.Check(); err != nil {
		w.Fail("%w", err)
	}
	for _, err := range v.archive.Check(v.Agree().Index()) {
		w.Fail("%w", err)
	}
	for _, found := range bumpcheck.Check(h, record) {
		r.Violations = append(r.Violations, found)
	}
	taken, given := v.archive.Snapshots()
	w.Count("snapshots taken", taken)
	w.Count("snapshots given", given)
	r.Counts, r.Failures, r.Revisions = w.Counts(), w.Failures(), len(h.Transactions)
	return r
}

// tidy has every node run that is a member, and no other: of a change of the members it may be
// unknown what came of it.
func (in *injector) tidy() {
	members := in.members(in.v.Leader())
	for _, n := range in.v.Nodes {
		switch _, member := members[n.ID]; {
		case member && !n.Running():
			in.v.start(n)
		case !member && n.Running():
			in.v.crash(n)
		}
	}
}

// named is what must have happened, as the checker of bumps takes it.
func (v *virtual) named() *bumpcheck.History {
	v.t.Helper()
	agreed := v.Agree()
	h := &bumpcheck.History{History: &watchcheck.History{ClusterID: agreed.Cluster().ClusterID}, Seed: seeded()}
	end, err := v.archive.Replay(agreed.Index(), func(_ fsm.View, results []fsm.Result) {
		for _, r := range results {
			if r.Transaction == nil || r.Replayed || r.Registry != clustertest.Registry {
				continue
			}
			h.Transactions = append(h.Transactions, transactionOf(r.Transaction))
			h.Names = append(h.Names, nameOf(r.Transaction))
		}
	})
	if err != nil {
		v.t.Fatal(err)
	}
	if end.StateHash() != agreed.StateHash() {
		v.t.Error("the nodes agree on another state than their logs come to")
	}
	key := agreed.Cluster().Key
	h.Sign = func(payload string) string {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(payload))
		return hex.EncodeToString(mac.Sum(nil))
	}
	return h
}

// Faults returns how many faults had an effect, and how many had none.
func (r *Report) Faults() (effective, without int) {
	for name, n := range r.Counts {
		switch {
		case len(name) > len(faultPrefix) && name[:len(faultPrefix)] == faultPrefix:
			effective += n
		case len(name) > len(ineffective) && name[:len(ineffective)] == ineffective:
			without += n
		}
	}
	return effective, without
}

const faultPrefix = "fault: "

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
