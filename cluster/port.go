package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// The first byte of a connection to the raft port says which protocol it speaks. Raft's
// is followed by the server id that the caller expects, with its length: at an address
// that another node has now, or the same node of another cluster, nobody is at home. A
// leader of a cluster that was given up would otherwise take over the one that was
// restored from its backup.
const (
	protocolRaft  byte = 'R'
	protocolCalls byte = 'D' // C was that of builds whose calls were encoded by gob
)

// helloTimeout bounds how long a new connection may take to say what it speaks.
const helloTimeout = 5 * time.Second

// port is the node's one listener. It tells raft's connections from the calls
// between nodes, and it is the [raft.StreamLayer] that raft dials and accepts with.
type port struct {
	network  Network
	address  raft.ServerAddress
	id       raft.ServerID
	listener net.Listener
	calls    func(net.Conn) // serves a connection of calls until it ends
	raft     chan net.Conn  // accepted for raft

	// expected returns who should be at an address.
	expected func(raft.ServerAddress) (raft.ServerID, error)
	done     chan struct{} // closed by Close

	life context.Context // ends what is being dialed for raft
	stop context.CancelFunc

	mu    sync.Mutex
	conns map[*tracked]struct{} // to close at the end; nil after it
	group sync.WaitGroup
}

func listen(network Network, id raft.ServerID, address string, calls func(net.Conn)) (*port, error) {
	l, err := network.Listen(address)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	return &port{
		life: life, stop: stop, network: network, id: id, address: raft.ServerAddress(address), listener: l, calls: calls,
		raft: make(chan net.Conn), done: make(chan struct{}), conns: make(map[*tracked]struct{}),
	}, nil
}

// serve accepts connections until Close, and returns when all that it started ended.
func (p *port) serve() error {
	defer p.group.Wait()
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			select {
			case <-p.done:
				return nil
			default:
			}
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				continue
			}
			if passing(err) {
				select {
				case <-time.After(acceptPause):
				case <-p.done:
				}
				continue
			}
			p.Close()
			return err
		}
		if conn := p.track(conn); conn != nil {
			p.group.Go(func() { p.hello(conn) })
		}
	}
}

// acceptPause is how long nobody is let in after that failed.
const acceptPause = 50 * time.Millisecond

// passing reports whether an error of accepting a connection says nothing about the next
// one: too many files are open, or the other side went away.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// hello reads what the connection speaks and hands it on.
func (p *port) hello(conn *tracked) {
	conn.SetReadDeadline(time.Now().Add(helloTimeout))
	protocol, err := readByte(conn)
	wanted := ""
	if err == nil && protocol == protocolRaft {
		wanted, err = readID(conn)
	}
	if err != nil {
		conn.Close()
		return
	}
	conn.SetReadDeadline(time.Time{})
	switch protocol {
	case protocolRaft:
		if wanted != string(p.id) {
			conn.Close()
			return
		}
		conn.isRaft()
		select {
		case p.raft <- conn: // raft's transport owns and closes it from here
		case <-p.done:
			conn.Close()
		case <-time.After(helloTimeout): // raft does not run here
			conn.Close()
		}
	case protocolCalls:
		p.calls(conn)
		conn.Close()
	default:
		conn.Close()
	}
}

// Both are read without a buffer: what follows belongs to others.
func readByte(conn net.Conn) (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(conn, b[:])
	return b[0], err
}

func readID(conn net.Conn) (string, error) {
	size, err := readByte(conn)
	if err != nil {
		return "", err
	}
	id := make([]byte, size)
	_, err = io.ReadFull(conn, id)
	return string(id), err
}

// tracked is a connection that leaves the port's list when it is closed.
type tracked struct {
	net.Conn
	port *port
	raft bool // it speaks raft's protocol; guarded by the port's mu
}

// Close closes the connection.
func (a *tracked) Close() error {
	a.port.mu.Lock()
	delete(a.port.conns, a)
	a.port.mu.Unlock()
	return a.Conn.Close()
}

// isRaft notes that the connection speaks raft's protocol.
func (a *tracked) isRaft() {
	a.port.mu.Lock()
	defer a.port.mu.Unlock()
	a.raft = true
}

// track takes a connection into the list; nil if the port is closed.
func (p *port) track(conn net.Conn) *tracked {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		conn.Close()
		return nil
	}
	a := &tracked{Conn: conn, port: p}
	p.conns[a] = struct{}{}
	return a
}

// Accept returns the next connection that speaks raft's protocol.
func (p *port) Accept() (net.Conn, error) {
	select {
	case conn := <-p.raft:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close stops listening and breaks all accepted connections.
func (p *port) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		return nil
	}
	close(p.done)
	p.stop()
	for a := range p.conns { // any order: all are closed
		a.Conn.Close()
	}
	p.conns = nil
	return p.listener.Close()
}

// Addr is the address that the other nodes know this one by.
func (p *port) Addr() net.Addr { return portAddr(p.address) }

// Dial connects to another node's raft, if it is who the cluster's configuration says.
func (p *port) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.life, timeout)
	defer cancel()
	id, err := p.expected(address)
	if err != nil {
		return nil, err
	}
	conn, err := p.dial(ctx, string(address), append([]byte{protocolRaft, byte(len(id))}, id...))
	if err != nil {
		return nil, err
	}
	if t := p.track(conn); t != nil {
		t.isRaft()
		return t, nil
	}
	return nil, net.ErrClosed
}

// hangUp breaks the connections of raft and those that are being made, so that raft, which
// waits for its calls when it shuts down, does not wait for one that nobody answers. Those
// of calls are left: answers to what has just been carried out are on their way.
func (p *port) hangUp() {
	p.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.conns { // any order: all are closed
		if t.raft {
			t.Conn.Close()
		}
	}
}

func (p *port) dial(ctx context.Context, address string, hello []byte) (net.Conn, error) {
	conn, err := p.network.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	conn.SetWriteDeadline(time.Now().Add(helloTimeout))
	if _, err := conn.Write(hello); err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetWriteDeadline(time.Time{})
	return conn, nil
}

type portAddr string

func (portAddr) Network() string  { return "tcp" }
func (a portAddr) String() string { return string(a) }
