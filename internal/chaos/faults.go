package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tesd/tesd/internal/clustertest"
)

// injector does harm to a cluster, one fault after the other.
type injector struct {
	v   *virtual
	w   *World
	rng *rand.Rand
}

// Faults of a run in virtual time. Each is counted by its name when it has had its effect.
const (
	FaultLeaderCrash   = "fault: leader crashed"
	FaultFollowerCrash = "fault: follower crashed"
	FaultAllCrash      = "fault: all crashed"
	FaultRestart       = "fault: restarted in good order"
	FaultIsolated      = "fault: isolated from everyone"
	FaultBehind        = "fault: cut off from the other nodes alone"
	FaultOneWay        = "fault: cut in one direction"
	FaultTransfer      = "fault: leadership handed over"
	FaultSnapshot      = "fault: given a snapshot"
	FaultLostDisk      = "fault: lost its disk and was replaced"
	FaultPausedLink    = "fault: link to a watcher paused"
	FaultReset         = "fault: connections to a watcher reset"
)

// classes returns the faults, by name; each returns whether it had its effect.
func (in *injector) classes() map[string]func() bool {
	return map[string]func() bool{
		FaultLeaderCrash:   func() bool { return in.crash(in.v.Leader()) },
		FaultFollowerCrash: func() bool { return in.crash(in.v.Follower()) },
		FaultAllCrash:      in.crashAll,
		FaultRestart:       in.restart,
		FaultIsolated:      in.isolate,
		FaultBehind:        in.behind,
		FaultOneWay:        in.oneWay,
		FaultTransfer:      in.transfer,
		FaultSnapshot:      in.snapshot,
		FaultLostDisk:      in.lostDisk,
	}
}

// FaultClasses returns the names of all faults of a run in virtual time.
func FaultClasses() []string {
	return []string{
		FaultLeaderCrash, FaultFollowerCrash, FaultAllCrash, FaultRestart, FaultIsolated, FaultBehind, FaultOneWay,
		FaultTransfer, FaultSnapshot, FaultLostDisk, FaultPausedLink, FaultReset,
	}
}

// rounds injects each of the named faults so many times, in random order; all if none is
// named.
func (in *injector) rounds(rounds int, names []string) {
	if names == nil {
		names = FaultClasses()[:len(in.classes())]
	}
	for range rounds {
		for _, i := range in.rng.Perm(len(names)) {
			for effect, try := false, 0; !effect && try < 3; try++ { // an election may come between
				began := time.Now()
				if effect = in.classes()[names[i]](); effect {
					in.w.Count(names[i], 1)
				}
				bitten := time.Since(began)
				in.v.Ready()
				if took := time.Since(began); !effect || took > 30*time.Second {
					in.v.t.Logf("%s: %v, after it all ready in %v; it had its effect: %v; logs %v",
						names[i], bitten, took-bitten, effect, in.logs())
				}
				in.wait(time.Second)
			}
		}
	}
}

// logs tells what each node's log holds, and how large its newest snapshot is.
func (in *injector) logs() (all []string) {
	for _, n := range in.v.Nodes {
		first, _ := n.Store.FirstIndex()
		last, _ := n.Store.LastIndex()
		size := int64(0)
		if taken, err := n.Snapshots.List(); err == nil && len(taken) > 0 {
			size = taken[0].Size
		}
		all = append(all, fmt.Sprintf("%s: %d to %d, snapshot of %d bytes", n.ID, first, last, size))
	}
	return all
}

// links does harm to the links between watchers and nodes, until ctx ends.
func (in *injector) links(ctx context.Context, rng *rand.Rand, watchers []string) {
	for i := 0; ; i++ {
		pause(ctx, upTo(rng, time.Second))
		if ctx.Err() != nil {
			return
		}
		node, host := in.v.Nodes[rng.IntN(len(in.v.Nodes))].ID, watchers[rng.IntN(len(watchers))]
		if i%3 == 0 || rng.IntN(4) == 0 {
			in.v.Net.Reset(node, host)
			in.w.Count(FaultReset, 1)
			continue
		}
		in.v.Net.Cut(node, host)
		pause(ctx, upTo(rng, 8*time.Second))
		in.v.Net.Heal(node, host)
		in.w.Count(FaultPausedLink, 1)
	}
}

// wait waits for a random time below d.
func (in *injector) wait(d time.Duration) { <-time.After(upTo(in.rng, d)) }

func (in *injector) any() *clustertest.Node { return in.v.Nodes[in.rng.IntN(len(in.v.Nodes))] }

func (in *injector) crash(n *clustertest.Node) bool {
	in.v.crash(n)
	in.wait(2 * time.Second)
	in.v.start(n)
	return true
}

func (in *injector) crashAll() bool {
	for _, n := range in.v.Nodes {
		in.v.Net.Crash(n.ID)
	}
	for _, n := range in.v.Nodes {
		in.v.crash(n)
	}
	in.wait(time.Second)
	for _, n := range in.v.Nodes {
		in.v.start(n)
	}
	return true
}

func (in *injector) restart() bool {
	n := in.any()
	in.v.stop(n)
	in.wait(500 * time.Millisecond)
	in.v.start(n)
	return true
}

func (in *injector) isolate() bool {
	n := in.any()
	in.v.Net.Isolate(n.ID)
	in.wait(4 * time.Second)
	in.v.Net.Rejoin(n.ID)
	return true
}

// cutOff cuts a node off from the other nodes, and not from its watchers; heal undoes it.
func (in *injector) cutOff(n *clustertest.Node) (heal func()) {
	each := func(do func(from, to string)) {
		for _, m := range in.v.Nodes {
			if m != n {
				do(n.ID, m.ID)
				do(m.ID, n.ID)
			}
		}
	}
	each(in.v.Net.Cut)
	return func() { each(in.v.Net.Heal) }
}

// behind has a node fall behind the others while it still serves: its watchers must wait.
func (in *injector) behind() bool {
	n := in.any()
	heal := in.cutOff(n)
	in.until(10*time.Second, func() bool { // if it led, the others need a while to go on
		r, ok := n.View().Registry(clustertest.Registry)
		return ok && r.Revision() < in.w.Committed(context.Background())
	})
	in.wait(5 * time.Second)
	ahead := in.w.Committed(context.Background())
	r, ok := n.View().Registry(clustertest.Registry)
	heal()
	return ok && r.Revision() < ahead
}

func (in *injector) oneWay() bool {
	n := in.any()
	m := in.any()
	for m == n {
		m = in.any()
	}
	in.v.Net.Cut(n.ID, m.ID)
	in.wait(4 * time.Second)
	in.v.Net.Heal(n.ID, m.ID)
	return true
}

func (in *injector) transfer() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return in.any().Current().TransferLeadership(ctx, in.v.Follower().ID) == nil
}

// snapshot cuts a follower off until the log that it lacks is compacted, so that it must be
// given a snapshot.
func (in *injector) snapshot() bool {
	n := in.v.Follower()
	_, before := in.v.archive.Snapshots()
	heal := in.cutOff(n)
	defer heal()
	compacted := in.until(3*time.Minute, func() bool { // the larger the state, the rarer the snapshots
		last, err := n.Store.LastIndex()
		for _, m := range in.v.Nodes {
			if first, e := m.Store.FirstIndex(); m != n && (err != nil || e != nil || first <= last+1) {
				return false
			}
		}
		return true
	})
	heal()
	return compacted && in.until(20*time.Second, func() bool {
		_, now := in.v.archive.Snapshots()
		return now > before
	})
}

// lostDisk has a node come back with an empty disk, and take its own place.
func (in *injector) lostDisk() bool {
	n := in.any()
	in.v.crash(n)
	n.Wipe()
	in.v.archive.Keep(n)
	in.v.start(n)
	by := in.v.Leader(n)
	added := in.until(time.Minute, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return by.Current().AddNode(ctx, n.ID, n.ID+":9000", true) == nil
	})
	return added && in.until(time.Minute, func() bool {
		for _, m := range by.Current().Members(context.Background()) {
			if m.ID == n.ID && m.Voter && m.Status != nil {
				return true
			}
		}
		return false
	})
}

// until waits until something holds, for limit at most, and returns whether it does.
func (in *injector) until(limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
