package chaos

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// injector does harm to a cluster. Each fault proves that it bit: what it does to the cluster,
// not that it was asked for, makes it count.
type injector struct {
	v    *virtual
	w    *World
	rng  *rand.Rand
	busy *busy
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
	FaultPartial       = "fault: two cut off from each other alone"
	FaultSplit         = "fault: split in two"
	FaultDelay         = "fault: links of a node slow"
	FaultReorder       = "fault: messages overtake each other"
	FaultStall         = "fault: messages lost for a moment"
	FaultNodeReset     = "fault: connections between nodes reset"
	FaultPause         = "fault: paused"
	FaultDeposed       = "fault: leader paused with answers on their way"
	FaultTransfer      = "fault: leadership handed over"
	FaultSnapshot      = "fault: given a snapshot"
	FaultLostDisk      = "fault: lost its disk and was replaced"
	FaultMember        = "fault: member added or removed"
	FaultDiskError     = "fault: writes to the log fail"
	FaultDiskStall     = "fault: writes to the log hang"
	FaultClock         = "fault: clock jumped"
	FaultPausedLink    = "fault: link to a watcher paused"
	FaultReset         = "fault: connections to a watcher reset"

	// FaultPlanted is that of [Seams]; it is none of the classes.
	FaultPlanted = "fault: planted"
)

// classes returns the faults, by name; each returns whether it had its effect.
func (in *injector) classes() map[string]func() bool {
	return map[string]func() bool{
		FaultLeaderCrash:   func() bool { return in.crash(in.leader()) },
		FaultFollowerCrash: func() bool { return in.crash(in.follower()) },
		FaultAllCrash:      in.crashAll,
		FaultRestart:       in.restart,
		FaultIsolated:      in.isolate,
		FaultBehind:        in.behind,
		FaultOneWay:        in.oneWay,
		FaultPartial:       in.partial,
		FaultSplit:         in.split,
		FaultDelay:         in.delay,
		FaultReorder:       in.reorder,
		FaultStall:         in.stall,
		FaultNodeReset:     in.reset,
		FaultPause:         in.pause,
		FaultDeposed:       in.depose,
		FaultTransfer:      in.transfer,
		FaultSnapshot:      in.snapshot,
		FaultLostDisk:      in.lostDisk,
		FaultMember:        in.member,
		FaultDiskError:     in.diskError,
		FaultDiskStall:     in.diskStall,
		FaultClock:         in.clockJump,
		FaultPlanted:       func() bool { return in.v.seams.Fault(in.v.Cluster, in.rng) },
	}
}

// WatchFaults returns the names of the faults of a run with watchers.
func WatchFaults() []string {
	return append(nodeFaults(), FaultPausedLink, FaultReset)
}

// nodeFaults are those that watchers see most of.
func nodeFaults() []string {
	return []string{
		FaultLeaderCrash, FaultFollowerCrash, FaultAllCrash, FaultRestart, FaultIsolated, FaultBehind, FaultOneWay,
		FaultTransfer, FaultSnapshot, FaultLostDisk,
	}
}

// rounds injects each of the named faults so many times, in random order; all that are meant
// for runs with watchers if none is named.
func (in *injector) rounds(rounds int, names []string) {
	if names == nil {
		names = nodeFaults()
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
				in.some(2)
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

// some waits for a random time up to so many units, of which a follower waits one for a leader. It
// is never next to nothing, for that does no harm.
func (in *injector) some(units float64) {
	most := time.Duration(units * float64(in.v.unit))
	<-time.After(most/6 + upTo(in.rng, most-most/6))
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

// any returns a node that runs; one that was asked for its turn by no other fault, if there
// is one.
func (in *injector) any() *clustertest.Node {
	var first *clustertest.Node
	for _, i := range in.rng.Perm(len(in.v.Nodes)) {
		n := in.v.Nodes[i]
		if n.Running() && !in.busy.has(n) {
			return n
		} else if first == nil || n.Running() {
			first = n
		}
	}
	return first
}

// pick returns a node that runs, in half of all cases the leader: between two followers there
// is little to disturb.
func (in *injector) pick() *clustertest.Node {
	if in.rng.IntN(2) == 0 {
		if n := in.leader(); n != nil {
			return n
		}
	}
	return in.any()
}

// other returns a running node that is not n, or nil.
func (in *injector) other(n *clustertest.Node) *clustertest.Node {
	for _, i := range in.rng.Perm(len(in.v.Nodes)) {
		if m := in.v.Nodes[i]; m != n && m.Running() {
			return m
		}
	}
	return nil
}

// leader waits a while for a leader and returns it, or nil.
func (in *injector) leader() (leader *clustertest.Node) {
	in.until(20*in.v.unit, func() bool {
		for _, n := range in.v.Nodes {
			if n.Running() && n.Status().Role == cluster.Leader {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// follower returns a running node beside the leader, or nil.
func (in *injector) follower() *clustertest.Node { return in.other(in.leader()) }

// busy are the nodes that a fault stops and starts: no two may do so with the same.
type busy struct {
	mu    sync.Mutex
	nodes map[*clustertest.Node]bool
}

func (b *busy) has(n *clustertest.Node) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nodes[n]
}

// claim takes nodes, all or none. ok is false if another fault has one of them.
func (b *busy) claim(nodes ...*clustertest.Node) (release func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range nodes {
		if n == nil || b.nodes[n] {
			return nil, false
		}
	}
	if b.nodes == nil {
		b.nodes = make(map[*clustertest.Node]bool)
	}
	for _, n := range nodes {
		b.nodes[n] = true
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, n := range nodes {
			delete(b.nodes, n)
		}
	}, true
}
