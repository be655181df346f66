package chaos

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/internal/clustertest"
)

// links is how long messages take between hosts.
type links struct {
	usual    func() time.Duration
	delayed  atomic.Int64 // messages that a fault delayed
	overtook atomic.Int64 // messages that arrived before one that had been sent earlier
}

// least is what every message takes.
const least = 100 * time.Microsecond

// slow has everything take a while, up to most, that nodes send to each other and to users.
func (v *virtual) slow(rng *rand.Rand, most time.Duration, users ...string) {
	v.links.usual = func() time.Duration { return least + upTo(rng, most) }
	for _, n := range v.Nodes {
		v.eachLink(n, func(from, to string) { v.Net.Delay(from, to, v.links.usual) })
		for _, user := range users {
			v.Net.Delay(n.ID, user, v.links.usual)
		}
	}
}

// eachLink does something with each link of a node to and from the other nodes.
func (v *virtual) eachLink(n *clustertest.Node, do func(from, to string)) {
	for _, m := range v.Nodes {
		if m != n {
			do(n.ID, m.ID)
			do(m.ID, n.ID)
		}
	}
}

// late has each message of some links take up to most, all of them alike or each its own time,
// until the returned function is called.
func (v *virtual) late(rng *rand.Rand, most time.Duration, alike bool, links [][2]string) (end func()) {
	rng = rand.New(rand.NewPCG(rng.Uint64(), 0)) // the network's from here on
	same := least + upTo(rng, most)
	for _, l := range links {
		latest := time.Time{}
		v.Net.Delay(l[0], l[1], func() time.Duration { // serialised by the network
			d := same
			if !alike {
				d = least + upTo(rng, most)
			}
			if due := time.Now().Add(d); due.Before(latest) {
				v.links.overtook.Add(1)
			} else {
				latest = due
			}
			v.links.delayed.Add(1)
			return d
		})
	}
	return func() {
		for _, l := range links {
			v.Net.Delay(l[0], l[1], v.links.usual)
		}
	}
}

// linksOf returns all links of a node to and from the other nodes.
func (v *virtual) linksOf(n *clustertest.Node) (links [][2]string) {
	v.eachLink(n, func(from, to string) { links = append(links, [2]string{from, to}) })
	return links
}

// held returns how many bytes are on their way over some links.
func (v *virtual) held(links [][2]string) (bytes int) {
	for _, l := range links {
		bytes += v.Net.Held(l[0], l[1])
	}
	return bytes
}
