package chaos_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/lan"
)

var namespaces = flag.Bool("chaos.namespaces", false, "fail if processes cannot have network namespaces of their own")

// canNetwork reports whether there can be a network that fails here, and says why not.
func canNetwork(t *testing.T) bool {
	t.Helper()
	l, err := lan.Start(1)
	if err == nil {
		l.Close()
		return true
	}
	if *namespaces {
		t.Fatal(err)
	}
	t.Log("all processes are on loopback, and the network does not fail in this run:", err)
	return false
}

// startLAN gives each node a machine of its own, and one to all users. Those of other clusters have the
// same addresses, and none of them is reached from here.
func startLAN(t *testing.T, nodes int) *lan.LAN {
	t.Helper()
	l, err := lan.Start(nodes + 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// trouble is something that happens to packets on some ways.
type trouble struct {
	name  string
	often int
	how   func(*rand.Rand) lan.Impairment
	ways  func(*rand.Rand, *e2e.Node) []lan.Way
}

// networkCalamities are all that can strike between nodes, and between them and their users. One of them
// is any of the others, for longer than the 5 s after which nodes give up a connection.
func (o *ordeal) networkCalamities() (all []calamity) {
	if o.network == nil {
		return nil
	}
	troubles := []trouble{
		{"fault: node isolated", 3, cut, o.around},
		{"fault: node cut off in one direction", 3, cut, o.oneWay},
		{"fault: two nodes cut off from each other", 2, cut, o.partial},
		{"fault: cluster split", 2, cut, o.split},
		{"fault: links slow", 2, slow, o.around},
		{"fault: packets lost", 2, lossy, o.around},
		{"fault: packets overtake each other", 2, disorderly, o.around},
	}
	for _, t := range troubles {
		all = append(all, calamity{t.name, t.often, false, func(n *e2e.Node) (bool, error) {
			return o.impair(t, n, 500*time.Millisecond, 2*time.Second), nil
		}})
	}
	return append(all, calamity{"fault: network bad for long", 1, true, func(n *e2e.Node) (bool, error) {
		return o.impair(troubles[o.chance().IntN(len(troubles))], n, 5500*time.Millisecond, 2*time.Second), nil
	}})
}

// impair has trouble come to a node for so long, and up to so much longer. It bit if it met any packet.
func (o *ordeal) impair(t trouble, n *e2e.Node, least, more time.Duration) (bit bool) {
	rng := o.chance()
	bad := o.network.Impair(t.how(rng), t.ways(rng, n)...)
	<-time.After(least + time.Duration(rng.Int64N(int64(more))))
	return bad.End().Any()
}

func cut(*rand.Rand) lan.Impairment { return lan.Impairment{Cut: true} }

func slow(rng *rand.Rand) lan.Impairment {
	return lan.Impairment{Delay: 20*time.Millisecond + time.Duration(rng.Int64N(int64(180*time.Millisecond)))}
}

func lossy(rng *rand.Rand) lan.Impairment { return lan.Impairment{Loss: 0.05 + 0.25*rng.Float64()} }

func disorderly(rng *rand.Rand) lan.Impairment {
	return lan.Impairment{Jitter: 5*time.Millisecond + time.Duration(rng.Int64N(int64(95*time.Millisecond))), Duplicate: 0.1}
}

// chance returns a source of its own for a calamity, since several strike at once.
func (o *ordeal) chance() *rand.Rand { return rand.New(rand.NewPCG(o.luck, 9+o.struck.Add(1))) }

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
