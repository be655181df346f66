package chaos_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/lan"
)

// What scripts/chaos bumps --processes sets of the network.
var (
	nodes      = flag.Int("chaos.nodes", 3, "how many processes suffer: 3 to 5")
	namespaces = flag.Bool("chaos.namespaces", false, "fail if processes cannot have network namespaces of their own")
)

// network gives each node a machine of its own, and one to all users, where that is possible.
func network(t *testing.T) *lan.LAN {
	t.Helper()
	l, err := lan.Start(*nodes + 1)
	if err != nil && *namespaces {
		t.Fatal(err)
	}
	if err != nil {
		t.Log("all processes are on loopback, and the network does not fail in this run:", err)
		return nil
	}
	t.Cleanup(l.Close)
	return l
}

// networkCalamities are all that can strike between nodes, and between them and their users.
func (o *ordeal) networkCalamities() []calamity {
	if o.LAN() == nil {
		return nil
	}
	return []calamity{
		{"fault: node isolated", o.impairs(cut, o.around)},
		{"fault: node cut off in one direction", o.impairs(cut, o.oneWay)},
		{"fault: two nodes cut off from each other", o.impairs(cut, o.partial)},
		{"fault: cluster split", o.impairs(cut, o.split)},
		{"fault: links slow", o.impairs(slow, o.around)},
		{"fault: packets lost", o.impairs(lossy, o.around)},
		{"fault: packets overtake each other", o.impairs(disorderly, o.around)},
	}
}

func cut(*rand.Rand) lan.Impairment { return lan.Impairment{Cut: true} }

func slow(rng *rand.Rand) lan.Impairment {
	return lan.Impairment{Delay: 20*time.Millisecond + time.Duration(rng.Int64N(int64(180*time.Millisecond)))}
}

func lossy(rng *rand.Rand) lan.Impairment { return lan.Impairment{Loss: 0.05 + 0.25*rng.Float64()} }

func disorderly(rng *rand.Rand) lan.Impairment {
	return lan.Impairment{Jitter: 5*time.Millisecond + time.Duration(rng.Int64N(int64(95*time.Millisecond))), Duplicate: 0.1}
}

// impairs has something happen to packets for a while; one time in six for longer than the nodes wait until they give
// up a connection. It bit if it met any.
func (o *ordeal) impairs(how func(*rand.Rand) lan.Impairment, ways func(*rand.Rand, *e2e.Node) []lan.Way) func(*e2e.Node) (bool, error) {
	return func(n *e2e.Node) (bool, error) {
		rng := o.chance()
		lasts := 500*time.Millisecond + time.Duration(rng.Int64N(int64(3*time.Second)))
		if rng.IntN(6) == 0 {
			lasts += 5 * time.Second
		}
		bad := o.LAN().Impair(how(rng), ways(rng, n)...)
		<-time.After(lasts)
		return bad.End().Any(), nil
	}
}

// chance returns a source of its own for a calamity, since several strike at once.
func (o *ordeal) chance() *rand.Rand { return rand.New(rand.NewPCG(*first, 9+o.struck.Add(1))) }

// others are the machines of all nodes but one.
func (o *ordeal) others(n *e2e.Node) (machines []*lan.Machine) {
	for _, m := range o.Nodes {
		if m != n {
			machines = append(machines, m.Machine)
		}
	}
	return machines
}

// around are all ways of a node, those of its users among them.
func (o *ordeal) around(_ *rand.Rand, n *e2e.Node) []lan.Way {
	return both([]*lan.Machine{n.Machine}, append(o.others(n), o.Users()))
}

// oneWay are the ways from a node to all others, or the ways back.
func (o *ordeal) oneWay(rng *rand.Rand, n *e2e.Node) []lan.Way {
	here, there := []*lan.Machine{n.Machine}, o.others(n)
	if rng.IntN(2) == 0 {
		here, there = there, here
	}
	return lan.Ways(here, there)
}

// partial are the ways between a node and one other.
func (o *ordeal) partial(rng *rand.Rand, n *e2e.Node) []lan.Way {
	there := o.others(n)
	return lan.Both(n.Machine, there[rng.IntN(len(there))])
}

// split are the ways between a minority with the node, the largest that there is, and the others. Users reach both.
func (o *ordeal) split(rng *rand.Rand, n *e2e.Node) []lan.Way {
	there := o.others(n)
	rng.Shuffle(len(there), func(i, j int) { there[i], there[j] = there[j], there[i] })
	more := (len(o.Nodes)-1)/2 - 1
	return both(append([]*lan.Machine{n.Machine}, there[:more]...), there[more:])
}

// both are all ways between two sides.
func both(here, there []*lan.Machine) []lan.Way {
	return append(lan.Ways(here, there), lan.Ways(there, here)...)
}
