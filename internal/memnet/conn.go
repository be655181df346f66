package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"time"
)

// Window is how many bytes may be unread on a connection, per direction,
// before a Write blocks: it is accepted whole while fewer are unread.
const Window = 16 << 20

// pipe is one direction of a connection. Its state is guarded by the network.
type pipe struct {
	n       *Network
	link    link
	changed signal
	arrived []byte  // what the reader can have now
	flight  []chunk // what is on the way, in order
	unread  int     // bytes arrived or in flight
	latest  time.Time
	sealed  bool  // the writer has sent its last
	end     error // the writer's end has arrived: io.EOF or why it broke
	deaf    bool  // the reader has closed
}

// chunk is one write on its way, or the end of the stream.
type chunk struct {
	due  time.Time
	data []byte
	end  error
}

func (p *pipe) send(data []byte, end error) {
	if p.sealed || p.deaf {
		return
	}
	due := time.Now().Add(p.n.delay(p.link))
	if due.Before(p.latest) {
		due = p.latest
	}
	p.latest = due
	p.sealed = end != nil
	p.flight = append(p.flight, chunk{due, data, end})
	p.unread += len(data)
	p.changed.raise()
}

// settle lets arrive what is due, unless the link is cut.
func (p *pipe) settle() {
	if p.n.blocked(p.link) {
		return
	}
	now := time.Now()
	for len(p.flight) > 0 && !p.flight[0].due.After(now) {
		p.arrived = append(p.arrived, p.flight[0].data...)
		p.end = p.flight[0].end
		p.flight = p.flight[1:]
	}
}

// take moves what has arrived to b.
func (p *pipe) take(b []byte) int {
	k := copy(b, p.arrived)
	p.arrived = p.arrived[k:]
	p.unread -= k
	p.changed.raise()
	return k
}

// sever loses what is in flight and ends the stream at once.
func (p *pipe) sever(end error) {
	p.flight = nil
	p.unread = len(p.arrived)
	p.sealed = true
	p.end = end
}

// hangUp ends the reader's side: from now on everything sent is lost.
func (p *pipe) hangUp() {
	p.deaf = true
	p.arrived, p.flight, p.unread = nil, nil, 0
	p.changed.raise()
}

// next returns when the next chunk arrives; zero if none does by itself.
func (p *pipe) next() time.Time {
	if len(p.flight) == 0 || p.n.blocked(p.link) {
		return time.Time{}
	}
	return p.flight[0].due
}

// conn is one end of a connection.
type conn struct {
	n             *Network
	in, out       *pipe
	local, remote address
	readBy        time.Time // deadlines; zero: none
	writeBy       time.Time
	closed        bool
}

func (c *conn) Read(b []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for {
		c.in.settle()
		switch {
		case c.closed:
			return 0, c.failed("read", net.ErrClosed)
		case expired(c.readBy):
			return 0, c.failed("read", os.ErrDeadlineExceeded)
		case len(c.in.arrived) > 0 || len(b) == 0:
			return c.in.take(b), nil
		case errors.Is(c.in.end, io.EOF):
			return 0, io.EOF
		case c.in.end != nil:
			return 0, c.failed("read", c.in.end)
		}
		c.in.changed.wait(&c.n.mu, earlier(c.in.next(), c.readBy), nil)
	}
}

func (c *conn) Write(b []byte) (int, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	for {
		c.in.settle()
		switch {
		case c.closed:
			return 0, c.failed("write", net.ErrClosed)
		case expired(c.writeBy):
			return 0, c.failed("write", os.ErrDeadlineExceeded)
		case errors.Is(c.in.end, io.EOF):
			return 0, c.failed("write", syscall.EPIPE)
		case c.in.end != nil:
			return 0, c.failed("write", c.in.end)
		case c.out.unread < Window:
			c.out.send(slices.Clone(b), nil)
			return len(b), nil
		}
		c.out.changed.wait(&c.n.mu, c.writeBy, nil)
	}
}

func (c *conn) Close() error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.failed("close", net.ErrClosed)
	}
	c.shut(io.EOF)
	return nil
}

// shut closes this end; the peer gets end after what was sent.
func (c *conn) shut(end error) {
	c.closed = true
	c.out.send(nil, end)
	c.out.changed.raise()
	c.in.hangUp()
	c.n.conns = slices.DeleteFunc(c.n.conns, func(o *conn) bool { return o == c })
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadlines(t, &c.readBy, &c.writeBy) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(t, &c.readBy) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.writeBy) }

func (c *conn) setDeadlines(t time.Time, deadlines ...*time.Time) error {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	if c.closed {
		return c.failed("set", net.ErrClosed)
	}
	for _, d := range deadlines {
		*d = t
	}
	c.in.changed.raise()
	c.out.changed.raise()
	return nil
}

func (c *conn) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: network, Source: c.local, Addr: c.remote, Err: err}
}

// listener accepts the connections to one address.
type listener struct {
	n       *Network
	addr    address
	changed signal
	backlog []*conn // dialled and not yet accepted
	closed  bool
}

func (l *listener) Accept() (net.Conn, error) {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	for {
		switch {
		case l.closed:
			return nil, l.failed("accept", net.ErrClosed)
		case len(l.backlog) > 0:
			c := l.backlog[0]
			l.backlog = l.backlog[1:]
			return c, nil
		}
		l.changed.wait(&l.n.mu, time.Time{}, nil)
	}
}

func (l *listener) Close() error {
	l.n.mu.Lock()
	defer l.n.mu.Unlock()
	if l.closed {
		return l.failed("close", net.ErrClosed)
	}
	l.shut()
	return nil
}

// shut closes the listener and resets what nobody has accepted.
func (l *listener) shut() {
	l.closed = true
	delete(l.n.listeners, string(l.addr))
	for _, c := range l.backlog {
		c.shut(syscall.ECONNRESET)
	}
	l.changed.raise()
}

func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: network, Addr: l.addr, Err: err}
}

func expired(deadline time.Time) bool {
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// earlier returns the earlier of two times; zero stands for never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
