package chaos

import (
	"context"
	"time"

	"github.com/tesd/tesd/internal/clustertest"
)

// cut cuts some links for up to so many units. It reports whether they held anything back.
func (in *injector) cut(units float64, links [][2]string) bool {
	for _, l := range links {
		in.v.Net.Cut(l[0], l[1])
	}
	in.some(units)
	held := in.v.held(links)
	for _, l := range links {
		in.v.Net.Heal(l[0], l[1])
	}
	return held > 0
}

// both returns the links between two nodes.
func both(n, m *clustertest.Node) [][2]string { return [][2]string{{n.ID, m.ID}, {m.ID, n.ID}} }

// isolate cuts a node off from everyone, its users among them.
func (in *injector) isolate() bool {
	n := in.any()
	in.v.Net.Isolate(n.ID)
	in.some(8)
	held := in.v.held(in.v.linksOf(n))
	in.v.Net.Rejoin(n.ID)
	return held > 0
}

func (in *injector) oneWay() bool {
	n := in.pick()
	m := in.other(n)
	return m != nil && in.cut(8, [][2]string{{n.ID, m.ID}})
}

// partial cuts two nodes off from each other, which both still reach the others.
func (in *injector) partial() bool {
	n := in.pick()
	m := in.other(n)
	return m != nil && in.cut(8, both(n, m))
}

// split cuts the cluster in two.
func (in *injector) split() bool {
	order := in.rng.Perm(len(in.v.Nodes))
	at := 1 + in.rng.IntN(len(order)-1)
	var links [][2]string
	for _, i := range order[:at] {
		for _, j := range order[at:] {
			links = append(links, both(in.v.Nodes[i], in.v.Nodes[j])...)
		}
	}
	return in.cut(8, links)
}

// stall loses what two nodes send for a moment. Lost segments are sent again, so that what
// arrives is late and none of it is missing.
func (in *injector) stall() bool {
	n := in.pick()
	m := in.other(n)
	return m != nil && in.cut(1, both(n, m))
}

// delay has all messages of a node take long, each as long as the others.
func (in *injector) delay() bool {
	before := in.v.links.delayed.Load()
	end := in.v.late(in.rng, in.v.unit/2, true, in.v.linksOf(in.pick()))
	in.some(4)
	end()
	return in.v.links.delayed.Load() > before
}

// reorder has messages of a node overtake each other, where they are not of one connection.
func (in *injector) reorder() bool {
	before := in.v.links.overtook.Load()
	end := in.v.late(in.rng, in.v.unit/4, false, in.v.linksOf(in.pick()))
	in.some(4)
	end()
	return in.v.links.overtook.Load() > before
}

// reset breaks the connections between two nodes, some times.
func (in *injector) reset() bool {
	n := in.any()
	m, broken := in.other(n), 0
	for range 1 + in.rng.IntN(3) {
		if m != nil {
			broken += in.v.Net.Reset(n.ID, m.ID)
		}
		in.some(0.3)
	}
	return broken > 0
}

// behind has a node fall behind the others while it still serves: its watchers must wait.
func (in *injector) behind() bool {
	n := in.any()
	links := in.v.linksOf(n)
	for _, l := range links {
		in.v.Net.Cut(l[0], l[1])
	}
	in.until(20*in.v.unit, func() bool { // if it led, the others need a while to go on
		return in.v.Revision(n.ID) < in.w.Committed(context.Background())
	})
	in.some(10)
	ahead := in.w.Committed(context.Background())
	at := in.v.Revision(n.ID)
	for _, l := range links {
		in.v.Net.Heal(l[0], l[1])
	}
	return at < ahead
}

// snapshot cuts a follower off until the log that it lacks is compacted, so that it must be
// given a snapshot.
func (in *injector) snapshot() bool {
	n := in.follower()
	if n == nil {
		return false
	}
	_, before := in.v.archive.Snapshots()
	links := in.v.linksOf(n)
	for _, l := range links {
		in.v.Net.Cut(l[0], l[1])
	}
	in.w.fill.Store(true)
	defer in.w.fill.Store(false)
	compacted := in.until(in.w.patience(), func() bool { // the larger the state, the rarer the snapshots
		last, err := n.Store.LastIndex()
		for _, m := range in.v.Nodes {
			first, e := m.Store.FirstIndex()
			if m != n && m.Running() && (err != nil || e != nil || first <= last+1) {
				return false
			}
		}
		return true
	})
	for _, l := range links {
		in.v.Net.Heal(l[0], l[1])
	}
	return compacted && in.until(20*time.Second, func() bool {
		_, now := in.v.archive.Snapshots()
		return now > before
	})
}

// links does harm to the links between watchers and nodes, until ctx ends.
func (in *injector) links(ctx context.Context, watchers []string) {
	for i := 0; ; i++ {
		pause(ctx, upTo(in.rng, time.Second))
		if ctx.Err() != nil {
			return
		}
		node, host := in.v.Nodes[in.rng.IntN(len(in.v.Nodes))].ID, watchers[in.rng.IntN(len(watchers))]
		if i%3 == 0 || in.rng.IntN(4) == 0 {
			in.v.Net.Reset(node, host)
			in.w.Count(FaultReset, 1)
			continue
		}
		in.v.Net.Cut(node, host)
		pause(ctx, upTo(in.rng, 8*time.Second))
		in.v.Net.Heal(node, host)
		in.w.Count(FaultPausedLink, 1)
	}
}
