// Package memnet is a network of named hosts inside one process, for tests
// that run whole clusters in a [testing/synctest] bubble.
//
// Connections behave as TCP does: writes are buffered, deadlines expire, the
// peer of a closed connection reads what was sent and then EOF, and a broken
// connection fails with ECONNRESET. Between two hosts the network may cut,
// delay or reset at will, per direction, and the change acts at once on
// existing connections as on new ones. Time is that of package time, so that
// in a bubble every delay and deadline is exact in virtual time.
//
// The package starts no goroutines, and whoever waits on it waits durably in
// the sense of synctest. A Network must be made and used in one bubble.
//
// Faults name hosts, connections name addresses of the form "host:port".
// Wherever a host is asked for, one of its addresses does as well.
package memnet

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// firstPort is the port of the first dialling end; each later one is one up.
const firstPort = 49152

// Network is a set of hosts that can reach one another. Hosts need no
// introduction: listening or dialling makes them known. All methods may be
// called concurrently.
type Network struct {
	mu        sync.Mutex // guards everything, connections included; never held while waiting
	changed   signal     // raised for dialling hosts: faults, crashes, close
	listeners map[string]*listener
	conns     []*conn // the ends not yet closed, oldest first
	dialled   int
	cut       map[link]bool
	isolated  map[string]bool
	delays    map[link]func() time.Duration
	crashed   map[string]bool
	closed    bool
}

// link is one direction between two hosts.
type link struct{ from, to string }

func (l link) back() link { return link{l.to, l.from} }

// New returns a network without faults.
func New() *Network {
	return &Network{
		listeners: make(map[string]*listener),
		cut:       make(map[link]bool),
		isolated:  make(map[string]bool),
		delays:    make(map[link]func() time.Duration),
		crashed:   make(map[string]bool),
	}
}

// Listen starts to accept connections for addr, and brings the host back if it
// had crashed. An address in use fails with EADDRINUSE.
func (n *Network) Listen(addr string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return nil, &net.OpError{Op: "listen", Net: network, Addr: address(addr), Err: net.ErrClosed}
	case n.listeners[addr] != nil:
		return nil, &net.OpError{Op: "listen", Net: network, Addr: address(addr), Err: syscall.EADDRINUSE}
	}
	delete(n.crashed, hostOf(addr))
	l := &listener{n: n, addr: address(addr)}
	n.listeners[addr] = l
	return l, nil
}

// Dial connects the host from to the address to. It takes one round trip of
// the delays between the two hosts. While either direction is cut it waits, as
// for a lost SYN, until the cut is healed or ctx is done; past the deadline of
// ctx the error is a timeout. Nobody listening is ECONNREFUSED; a host that
// has crashed cannot dial and gets ENETDOWN.
func (n *Network) Dial(ctx context.Context, from, to string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	way := link{hostOf(from), hostOf(to)}
	failed := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Source: address(from), Addr: address(to), Err: err}
	}
	answered := time.Now().Add(n.delay(way) + n.delay(way.back()))
	for {
		switch {
		case ctx.Err() != nil:
			return failed(ctx.Err())
		case n.closed:
			return failed(net.ErrClosed)
		case n.crashed[way.from]:
			return failed(syscall.ENETDOWN)
		case time.Now().Before(answered):
			n.changed.wait(&n.mu, answered, ctx.Done())
		case n.blocked(way) || n.blocked(way.back()):
			n.changed.wait(&n.mu, time.Time{}, ctx.Done())
		case n.listeners[to] == nil:
			return failed(syscall.ECONNREFUSED)
		default:
			return n.connect(way, n.listeners[to]), nil
		}
	}
}

// connect makes both ends of a connection, hands one to the listener and
// returns the other.
func (n *Network) connect(way link, l *listener) *conn {
	local := address(fmt.Sprintf("%s:%d", way.from, firstPort+n.dialled))
	n.dialled++
	there, back := &pipe{n: n, link: way}, &pipe{n: n, link: way.back()}
	near := &conn{n: n, in: back, out: there, local: local, remote: l.addr}
	far := &conn{n: n, in: there, out: back, local: l.addr, remote: local}
	n.conns = append(n.conns, near, far)
	l.backlog = append(l.backlog, far)
	l.changed.raise()
	return near
}

// Crash does what the death of the host's process does: its listeners and
// connections close, and their peers get ECONNRESET after what was already
// sent (once it can reach them: a cut holds it back). What remains of the
// process in the test can reach nobody: the host cannot dial until it listens
// again. It returns how many connections broke.
func (n *Network) Crash(host string) (broken int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	host = hostOf(host)
	n.crashed[host] = true
	return n.kill(func(h string) bool { return h == host })
}

// Close ends the whole network: every listener, connection and pending dial
// fails with net.ErrClosed, whatever faults are in force. A test that defers it
// leaves nobody waiting on the network.
func (n *Network) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	n.kill(func(string) bool { return true })
}

// kill closes the listeners and connections of the hosts that match, and returns how many
// connection ends it closed.
func (n *Network) kill(match func(host string) bool) (closed int) {
	for _, l := range n.listeners {
		if match(l.addr.host()) {
			l.shut()
		}
	}
	for _, c := range slices.Clone(n.conns) {
		if match(c.local.host()) {
			c.shut(syscall.ECONNRESET)
			closed++
		}
	}
	n.changed.raise()
	return closed
}

const network = "memnet"

// address is the "host:port" of one end of a connection.
type address string

func (a address) Network() string { return network }
func (a address) String() string  { return string(a) }
func (a address) host() string    { return hostOf(string(a)) }

func hostOf(addr string) string {
	host, _, _ := strings.Cut(addr, ":")
	return host
}

// signal wakes everyone who waits for a change. Its methods are called with
// the network locked.
type signal struct{ raised chan struct{} }

func (s *signal) raise() {
	if s.raised != nil {
		close(s.raised)
		s.raised = nil
	}
}

// wait unlocks mu until the signal is raised, the time until has come (zero:
// never) or cancel is closed (nil: never).
func (s *signal) wait(mu *sync.Mutex, until time.Time, cancel <-chan struct{}) {
	if s.raised == nil {
		s.raised = make(chan struct{})
	}
	raised := s.raised
	var alarm <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		alarm = timer.C
	}
	mu.Unlock()
	defer mu.Lock()
	select {
	case <-raised:
	case <-alarm:
	case <-cancel:
	}
}
