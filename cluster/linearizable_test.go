package cluster_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

var (
	histories    = flag.Int("histories", 6, "how many random histories to check for linearizability") // immutable: set by the command line
	firstHistory = flag.Uint64("histories.first", 1, "the seed of the first one")                     // immutable: set by the command line
)

// access is one read or write of an entity's display name, as a client saw it. No two writes
// write the same.
type access struct {
	client    int
	node      string
	write     bool
	entity    string
	value     string
	revision  uint64 // of the registry: after the write, or in what was read
	call, ret int64
	unknown   bool // a write that may have been carried out, or may be yet
}

// record is a history as it happens. Its clock counts: in virtual time many things happen
// at once.
type record struct {
	clock, values atomic.Int64

	mu       sync.Mutex
	accesses []access
	refused  int // writes that were certainly not carried out, and reads that were not served
}

// access has a client read or write once, and notes what came of it.
func (r *record) access(t *testing.T, n *clustertest.Node, a access, limit time.Duration) (done bool) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	a.node, a.call = n.ID, r.clock.Add(1)
	var err error
	if a.write {
		a.value = fmt.Sprint("value ", r.values.Add(1))
		a.revision, err = write(ctx, n, a.entity, a.value)
	} else {
		a.value, a.revision, err = read(ctx, n, a.entity)
	}
	a.ret = r.clock.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
	case a.write && errors.Is(err, cluster.ErrUnknownOutcome):
		a.unknown, a.ret = true, math.MaxInt64
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrNotReady), errors.Is(err, cluster.ErrShuttingDown):
		r.refused++
		return false
	default:
		t.Errorf("%v is no error that a client knows", err)
		return false
	}
	r.accesses = append(r.accesses, a)
	return err == nil
}

func write(ctx context.Context, n *clustertest.Node, id, value string) (revision uint64, err error) {
	for _, e := range clustertest.Entities() {
		if e.ID == id {
			e.DisplayName, e.CurrentVersion = value, "" // the version stays
			result, err := n.Propose(ctx, clustertest.Command(fsm.Put{Entity: e}))
			if err == nil && result.Refusal != nil {
				return 0, result.Refusal
			}
			return result.Revision, err
		}
	}
	return 0, fmt.Errorf("there is no entity %s", id)
}

func read(ctx context.Context, n *clustertest.Node, id string) (value string, revision uint64, err error) {
	view, err := n.Read(ctx, cluster.ReadOptions{})
	if err != nil {
		return "", 0, err
	}
	r, _ := view.Registry(clustertest.Registry)
	e, _ := r.Entity(id)
	return e.DisplayName, r.Revision(), nil
}

// TestLinearizable has clients read and write at all nodes while the cluster suffers, and
// looks for an order of what they saw in which each takes effect between its call and its
// return. More histories: -histories 500.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	shapes := []struct {
		name     string
		founders int
		others   int // nodes beside the founders; with some, the membership changes
	}{{"3 nodes", 3, 0}, {"5 nodes", 5, 0}, {"3 nodes and one more", 3, 1}}
	for i := range *histories {
		seed := *firstHistory + uint64(i)
		shape := shapes[seed%3]
		t.Run(fmt.Sprintf("%d, %s", seed, shape.name), func(t *testing.T) {
			var r record
			synctest.Test(t, func(t *testing.T) { suffer(t, &r, seed, shape.founders, shape.others) })
			r.check(t)
		})
	}
}

// suffer fills a record.
func suffer(t *testing.T, r *record, seed uint64, founders, others int) {
	byID := make(map[string]*disk)
	c := clustertest.New(t, founders, disks(byID))
	c.Ready()
	for range others {
		c.Start(c.Add())
	}
	w := &sufferer{t: t, c: c, disks: byID, end: time.Now().Add(10 * time.Second)}
	w.everywhere(rand.New(rand.NewPCG(seed, 200)))
	var group sync.WaitGroup
	for i := range 8 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		group.Go(func() {
			for time.Now().Before(w.end) {
				a := access{client: i, write: rng.IntN(5) < 2, entity: entities[rng.IntN(len(entities))]}
				r.access(t, w.pick(rng, 4), a, between(rng, 50*time.Millisecond, time.Second))
				<-time.After(between(rng, 0, 50*time.Millisecond))
			}
		})
	}
	for i, fault := range []func(*rand.Rand){w.links, w.nodes, w.operate} {
		rng := rand.New(rand.NewPCG(seed, 100+uint64(i)))
		group.Go(func() {
			for time.Now().Before(w.end) {
				<-time.After(between(rng, 0, time.Second))
				fault(rng)
			}
		})
	}
	group.Wait()
	c.Net.HealAll()
	final := c.Leader()
	for i, id := range entities {
		c.Wait("no read is served in the end", time.Minute, func() bool {
			return r.access(t, final, access{client: 100 + i, entity: id}, time.Second)
		})
	}
	if others == 0 {
		c.Ready()
		c.Agree()
	}
}

// entities are those that the clients read and write.
var entities = []string{"global:main", "component:a", "api:a"} // immutable

// check holds the record against what a single registry would have answered.
func (r *record) check(t *testing.T) {
	reads, writes, unknown := 0, 0, 0
	for _, a := range r.accesses {
		switch {
		case a.unknown:
			unknown++
		case a.write:
			writes++
		default:
			reads++
		}
	}
	t.Logf("%d reads, %d writes, %d writes of unknown outcome, %d refused", reads, writes, unknown, r.refused)
	if reads < 20 || writes < 10 {
		t.Error("too little has happened for it to prove anything")
	}
	if result := porcupine.CheckOperationsTimeout(names, r.operations(), time.Minute); result != porcupine.Ok {
		t.Errorf("the history is not linearizable: porcupine says %s", result)
	}
	for _, a := range r.backwards() {
		t.Errorf("client %d at %s: write %v of %s, %q, has revision %d, below what was known before it began", a.client, a.node, a.write, a.entity, a.value, a.revision)
	}
}

// names is the sequential model: an entity has the name that was written last.
var names = porcupine.Model{ // immutable
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		for _, id := range entities {
			var part []porcupine.Operation
			for _, o := range history {
				if o.Input.(access).entity == id {
					part = append(part, o)
				}
			}
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, _ any) (bool, any) {
		switch a := input.(access); {
		case a.write:
			return true, a.value
		case state == "": // the name that the entity was seeded with
			return a.value == a.entity, a.value
		default:
			return a.value == state, state
		}
	},
}

// operations is the history as porcupine takes it. A write of unknown outcome may take effect
// at any time after its call, or never. One that nobody read can be left out, since it could
// always come last; one that was read took effect before the first read of it returned.
func (r *record) operations() []porcupine.Operation {
	seen := make(map[string]int64)
	for _, a := range r.accesses {
		if at, ok := seen[a.value]; !a.write && (!ok || a.ret < at) {
			seen[a.value] = a.ret
		}
	}
	var history []porcupine.Operation
	for _, a := range r.accesses {
		if a.unknown {
			at, ok := seen[a.value]
			if !ok {
				continue
			}
			a.ret = max(at, a.call)
		}
		history = append(history, porcupine.Operation{ClientId: a.client, Input: a, Call: a.call, Return: a.ret})
	}
	return history
}

// backwards returns the accesses with a revision below one that an access which was over when
// they began had, or for a write not above it. Revisions are in the order of the log, so this
// is stricter than the names alone.
func (r *record) backwards() (found []access) {
	known := make([]uint64, r.clock.Load()+1) // at each time the highest revision that a return has told of
	for _, a := range r.accesses {
		if !a.unknown {
			known[a.ret] = a.revision
		}
	}
	for i := range known[1:] {
		known[i+1] = max(known[i], known[i+1])
	}
	for _, a := range r.accesses {
		if floor := known[a.call]; !a.unknown && (a.revision < floor || a.write && a.revision == floor) {
			found = append(found, a)
		}
	}
	return found
}
