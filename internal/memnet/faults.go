package memnet

import (
	"syscall"
	"time"
)

// Cut stops what from sends to to. Nothing errs: bytes, and the news that a
// connection was closed, are held on the way until Heal. What had arrived
// before can still be read. Connections cannot be dialled in either direction.
func (n *Network) Cut(from, to string) {
	n.rewire(func() { n.cut[link{hostOf(from), hostOf(to)}] = true })
}

// Heal undoes Cut: what was held is delivered at once, in order.
func (n *Network) Heal(from, to string) {
	n.rewire(func() { delete(n.cut, link{hostOf(from), hostOf(to)}) })
}

// Isolate cuts the host off from every other, in both directions. It stands
// beside Cut: a link passes only if it is neither cut nor touches an isolated
// host. A host always reaches itself unless that link is cut by name.
func (n *Network) Isolate(host string) {
	n.rewire(func() { n.isolated[hostOf(host)] = true })
}

// Rejoin undoes Isolate.
func (n *Network) Rejoin(host string) {
	n.rewire(func() { delete(n.isolated, hostOf(host)) })
}

// HealAll undoes every Cut and Isolate. Delays stay.
func (n *Network) HealAll() {
	n.rewire(func() {
		clear(n.cut)
		clear(n.isolated)
	})
}

// Delay makes each later write from one host to the other arrive as much later
// as delay returns; nil ends it. A write never overtakes an earlier one of its
// connection. The calls are serialised over the whole network, so that several
// links may share a random source; delay must not use the network.
func (n *Network) Delay(from, to string, delay func() time.Duration) {
	n.rewire(func() { n.delays[link{hostOf(from), hostOf(to)}] = delay })
}

// Reset breaks all connections between the two hosts, whoever dialled: what
// was on the way is lost, and both ends get ECONNRESET at once, even over a
// cut link. New connections can be dialled. It returns how many connections it broke.
func (n *Network) Reset(a, b string) (broken int) {
	way := link{hostOf(a), hostOf(b)}
	n.rewire(func() {
		for _, c := range n.conns {
			if c.in.link == way || c.in.link == way.back() {
				if c.in.end == nil {
					broken++
				}
				c.in.sever(syscall.ECONNRESET)
			}
		}
	})
	return (broken + 1) / 2 // each has two ends, of which one may be closed
}

// Held returns how many bytes are on the way from one host to the other: those
// that a cut holds, and those whose delay is not over. Bytes towards a
// connection end that has been closed do not count.
func (n *Network) Held(from, to string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	held := 0
	for _, c := range n.conns {
		if c.in.link == (link{hostOf(from), hostOf(to)}) {
			c.in.settle()
			held += c.in.unread - len(c.in.arrived)
		}
	}
	return held
}

// rewire makes a change to the links. What is due by now arrives under the old
// state, then everyone who waits looks again.
func (n *Network) rewire(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.in.settle()
	}
	change()
	for _, c := range n.conns {
		c.in.changed.raise()
	}
	n.changed.raise()
}

func (n *Network) blocked(l link) bool {
	return n.cut[l] || l.from != l.to && (n.isolated[l.from] || n.isolated[l.to])
}

func (n *Network) delay(l link) time.Duration {
	if delay := n.delays[l]; delay != nil {
		return delay()
	}
	return 0
}
