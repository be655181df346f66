package chaos

import (
	"context"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// promotionTakes bounds how long a node that was added may take to become a voter.
const promotionTakes = time.Minute

// lostDisk has a node come back with an empty disk, and take its own place. No other may have
// lost its own meanwhile, and there must be three: what a majority has forgotten is gone, and
// nothing promises otherwise.
func (in *injector) lostDisk() bool {
	n := in.any()
	release, ok := in.busy.claim(n)
	if !ok {
		return false
	}
	defer release()
	if in.running() < 3 || !in.whole() {
		return false
	}
	in.v.crash(n)
	in.wipe(n)
	in.v.start(n)
	return in.admit(n, true)
}

// wipe takes a node's disk away.
func (in *injector) wipe(n *clustertest.Node) {
	n.Wipe()
	in.v.archive.Keep(n)
}

// running returns how many nodes run.
func (in *injector) running() (n int) {
	for _, m := range in.v.Nodes {
		if m.Running() {
			n++
		}
	}
	return n
}

// whole waits a while until every running node is a voter that is ready, and reports whether
// that is so.
func (in *injector) whole() bool {
	return in.until(40*in.v.unit, func() bool {
		l := in.leader()
		if l == nil {
			return false
		}
		members := in.members(l)
		for _, n := range in.v.Nodes {
			if !n.Running() {
				continue
			}
			if m, ok := members[n.ID]; !ok || !m.Voter || m.Status == nil {
				return false
			} else if _, unready := n.Check(); unready {
				return false
			}
		}
		return true
	})
}

// members asks a node for the members, by id.
func (in *injector) members(by *clustertest.Node) map[string]cluster.Member {
	all := make(map[string]cluster.Member)
	for _, m := range by.Current().Members(context.Background()) {
		all[m.ID] = m
	}
	return all
}

// admit has the cluster take a node in, and waits until it is a voter. It reports whether it is.
func (in *injector) admit(n *clustertest.Node, replace bool) bool {
	added := in.until(promotionTakes, func() bool {
		by := in.other(n)
		if by == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return by.Current().AddNode(ctx, n.ID, n.ID+":9000", replace) == nil
	})
	return added && in.until(promotionTakes, func() bool {
		by := in.leader()
		if by == nil {
			return false
		}
		m, ok := in.members(by)[n.ID]
		return ok && m.Voter && m.Status != nil
	})
}

// member takes a node out of the cluster, or takes one in that is out: with an empty disk,
// first without a vote, and promoted once it has caught up.
func (in *injector) member() bool {
	for _, n := range in.v.Nodes {
		if !n.Running() && !in.busy.has(n) {
			return in.join(n)
		}
	}
	n := in.any()
	release, ok := in.busy.claim(n)
	if !ok {
		return false
	}
	defer release()
	if in.running() < 3 || !in.whole() {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	by := in.any()
	if !by.Running() || by.Current().RemoveNode(ctx, n.ID) != nil {
		return false // or it is unknown what came of it: it stays as it is
	}
	in.v.crash(n)
	in.w.Count("members removed", 1)
	return true
}

// join starts a node that is out with an empty disk, and has it taken in.
func (in *injector) join(n *clustertest.Node) bool {
	release, ok := in.busy.claim(n)
	if !ok {
		return false
	}
	defer release()
	if !in.whole() {
		return false
	}
	in.wipe(n)
	in.v.start(n)
	if !in.admit(n, false) {
		return false
	}
	in.w.Count("members added", 1)
	return true
}
