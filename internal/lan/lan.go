// Package lan joins processes on one computer by a network that can be made bad while they
// run. Each process is on a [Machine] of its own, a network namespace of Linux, and what it
// sends to the others goes through a switch of this program. Nothing else on the computer
// sees any of that, other LANs of the program neither, and nothing is left of it when the program
// has ended, however it did.
//
// Packets pass at once and in order, and as many as the processors can carry, until somebody
// wants it otherwise: by [LAN.Impair] they are lost, late, out of order or there twice, in
// each direction between two machines as it is wanted. Who impairs is told how many packets
// that concerned: a fault that meets none proves nothing.
//
// A program reaches any process at any time by [LAN.Dial], which connects from inside the
// process's own machine, and it can have users at a machine of their own, who are cut off
// like anybody else.
package lan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
)

// LAN is some machines and their switch. Its methods may be called concurrently.
type LAN struct {
	Machines []*Machine // in the order of their addresses; not to be changed

	links map[Way]*link
	group sync.WaitGroup // of what forwards and delivers packets
	mu    sync.Mutex     // held to change what impairs links
}

// network is where the machines are: addresses that are set aside for benchmarks (RFC 2544).
const network = "198.18.0."

// Start starts so many machines, 250 at most, and their switch. It needs Linux and root. Whoever
// starts a LAN closes it when the processes on it have ended.
func Start(count int) (*LAN, error) {
	l := &LAN{links: make(map[Way]*link)}
	for i := range count {
		m, err := startMachine(netip.MustParseAddr(fmt.Sprint(network, i+1)))
		if err != nil {
			l.Close()
			return nil, err
		}
		l.Machines = append(l.Machines, m)
	}
	for _, from := range l.Machines {
		links := make(map[netip.Addr]*link)
		for _, to := range l.Machines {
			if to != from {
				links[to.Address] = &link{to: to, queue: make(chan packet, 4096)}
				l.links[Way{from, to}] = links[to.Address]
			}
		}
		l.group.Go(func() { l.forward(from, links) })
	}
	return l, nil
}

// Close ends the switch and the machines, and waits for that. It is called once.
func (l *LAN) Close() {
	for _, m := range l.Machines {
		m.close()
	}
	l.group.Wait()
}

// Dial connects to a server, given as address and port, from the machine that it runs on: over
// that one's loopback, which nothing impairs.
func (l *LAN) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("finding a machine: %w", err)
	}
	i := slices.IndexFunc(l.Machines, func(m *Machine) bool { return m.Address == at.Addr() })
	if i < 0 {
		return nil, fmt.Errorf("no machine has the address %v", at.Addr())
	}
	return l.Machines[i].Dial(ctx, network, address)
}
