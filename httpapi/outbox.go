package httpapi

import (
	"errors"
	"net"
	"sync"
	"time"
)

// outbox is the connection of a WebSocket as the library sees it. A write goes to memory
// at once and never waits; flush writes all that has gathered in one call. So a connection
// costs one system call for all that is pending, whoever wrote it, and frames follow each
// other whole, also the one that says that the caller is too slow.
type outbox struct {
	net.Conn
	filled chan struct{} // holds a token when there is something to flush

	mu      sync.Mutex
	waiting []byte
	spare   []byte // the other of the two buffers that take turns
	ended   bool
}

func newOutbox(conn net.Conn) *outbox { return &outbox{Conn: conn, filled: make(chan struct{}, 1)} }

// Write takes frames.
func (o *outbox) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return 0, net.ErrClosed
	}
	o.waiting = append(o.waiting, b...)
	select {
	case o.filled <- struct{}{}:
	default:
	}
	return len(b), nil
}

// SetWriteDeadline does nothing: writes do not wait. flush has its own limit.
func (o *outbox) SetWriteDeadline(time.Time) error { return nil }

// pending returns how many bytes wait to be written.
func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// errSlow says that the caller did not take what was written to it in time.
var errSlow = errors.New("the caller is too slow")

// flush writes what has gathered. It returns errSlow if that takes longer than limit; what
// is left of it stays, ahead of what is written later. It is for one goroutine.
func (o *outbox) flush(limit time.Duration) error {
	o.mu.Lock()
	frames := o.waiting
	if len(frames) > 0 {
		o.waiting, o.spare = o.spare[:0], nil
	}
	o.mu.Unlock()
	if len(frames) == 0 {
		return nil
	}
	err := o.Conn.SetWriteDeadline(time.Now().Add(limit))
	n := 0
	if err == nil {
		n, err = o.Conn.Write(frames)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n < len(frames) {
		o.waiting = append(append([]byte(nil), frames[n:]...), o.waiting...)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
			return errSlow
		}
		return err
	}
	if cap(frames) <= keptBuffer {
		o.spare = frames[:0]
	}
	return nil
}

// keptBuffer is the largest buffer that is kept for what comes next.
const keptBuffer = 32 << 10

// end has later writes fail.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}
