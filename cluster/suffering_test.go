package cluster_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// sufferer does harm to a cluster: to its links, to its nodes, and as its operators.
type sufferer struct {
	t     *testing.T
	c     *clustertest.Cluster
	disks map[string]*disk // only nodes uses it while the cluster suffers
	end   time.Time
	usual func() time.Duration // how long a message takes
}

func between(rng *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(rng.Int64N(int64(high-low)))
}

// pick returns a node; one time in so many one that takes itself for the leader, if there is
// one: those can be wrong.
func (s *sufferer) pick(rng *rand.Rand, one int) *clustertest.Node {
	n := s.c.Nodes[rng.IntN(len(s.c.Nodes))]
	if rng.IntN(one) == 0 {
		for _, m := range s.c.Nodes {
			if m.Running() && m.Status().Role == cluster.Leader {
				n = m
			}
		}
	}
	return n
}

// links cuts or slows the links of a node for a while.
func (s *sufferer) links(rng *rand.Rand) {
	n, kind := s.pick(rng, 2), rng.IntN(5)
	if kind == 0 {
		s.c.Net.Isolate(n.ID)
		<-time.After(between(rng, 50*time.Millisecond, 2*time.Second))
		s.c.Net.Rejoin(n.ID)
		return
	}
	for _, m := range s.c.Nodes {
		for _, link := range [][2]string{{n.ID, m.ID}, {m.ID, n.ID}} {
			switch out := link[0] == n.ID; {
			case m == n:
			case kind == 1 && out, kind == 2 && !out, kind == 3 && rng.IntN(2) == 0:
				s.c.Net.Cut(link[0], link[1])
			case kind == 4:
				late := between(rng, time.Millisecond, 200*time.Millisecond)
				s.c.Net.Delay(link[0], link[1], func() time.Duration { return late })
			}
		}
	}
	<-time.After(between(rng, 50*time.Millisecond, 2*time.Second))
	for _, m := range s.c.Nodes {
		for _, link := range [][2]string{{n.ID, m.ID}, {m.ID, n.ID}} {
			s.c.Net.Heal(link[0], link[1])
			s.c.Net.Delay(link[0], link[1], s.usual)
		}
	}
}

// everywhere has all links take what they usually do.
func (s *sufferer) everywhere(rng *rand.Rand) {
	s.usual = func() time.Duration { return between(rng, 0, 5*time.Millisecond) }
	for _, n := range s.c.Nodes {
		for _, m := range s.c.Nodes {
			if n != m {
				s.c.Net.Delay(n.ID, m.ID, s.usual)
			}
		}
	}
}

// depose hangs a leader with answers to it on their way, lets the others go on without it,
// and lets it find the past before the present.
func (s *sufferer) depose(rng *rand.Rand, leader *clustertest.Node) {
	each := func(do func(from, to string), out bool) {
		for _, m := range s.c.Nodes {
			switch {
			case m == leader:
			case out:
				do(leader.ID, m.ID)
			default:
				do(m.ID, leader.ID)
			}
		}
	}
	each(s.c.Net.Cut, false)
	<-time.After(between(rng, 0, 30*time.Millisecond))
	resume := s.disks[leader.ID].stall()
	<-time.After(between(rng, 500*time.Millisecond, 2*time.Second))
	if rng.IntN(2) == 0 {
		each(s.c.Net.Cut, true)
	}
	last := func() { each(s.c.Net.Heal, false) }
	if rng.IntN(2) == 0 {
		resume, last = last, resume
	}
	resume()
	<-time.After(between(rng, 0, 5*time.Millisecond))
	last()
	<-time.After(between(rng, 0, 150*time.Millisecond))
	each(s.c.Net.Heal, true)
}

// nodes crashes and restarts a node, hangs its disk, or deposes it.
func (s *sufferer) nodes(rng *rand.Rand) {
	n := s.pick(rng, 2)
	switch rng.IntN(4) {
	case 0:
		s.c.Crash(n)
		<-time.After(between(rng, 0, time.Second))
		s.c.Start(n)
	case 1:
		s.c.Stop(n)
		s.c.Start(n)
	case 2:
		s.depose(rng, n)
	default:
		resume := s.disks[n.ID].stall()
		<-time.After(between(rng, 10*time.Millisecond, 2*time.Second))
		resume()
	}
}

// operate hands leadership over or, if there are nodes beside the founders, takes a node out
// or in.
func (s *sufferer) operate(rng *rand.Rand) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
	defer cancel()
	by, n := s.pick(rng, 2).Current(), s.pick(rng, 3)
	// What comes of it is no matter here: it may well fail while the cluster suffers.
	switch grows := len(s.c.Nodes) == 4; {
	case grows && rng.IntN(3) == 0:
		by.RemoveNode(ctx, n.ID)
	case grows && rng.IntN(2) == 0:
		by.AddNode(ctx, n.ID, n.ID+":9000", false)
	default:
		by.TransferLeadership(ctx, n.ID)
	}
}
