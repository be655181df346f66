package httpapi

import (
	"encoding/binary"
	"errors"
	"io"
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

	mu       sync.Mutex
	waiting  []byte
	cut      int // how many bytes of waiting, at most, are the rest of a frame that was written in part
	spare    []byte
	deadline time.Time // for all that is still to be written; zero while there is none
	ended    bool
}

const (
	keptBuffer = 32 << 10 // the largest buffer that is kept for what comes next

	// The system keeps so much for a caller that does not take it. It would let that grow to
	// megabytes by itself.
	systemBuffer = 64 << 10

	// Of the system this much more is asked for when a connection ends, so that the reason finds
	// room behind what the caller has not taken. It gives what it may.
	farewellBuffer = 1 << 20
)

func newOutbox(conn net.Conn) *outbox {
	o := &outbox{Conn: conn, filled: make(chan struct{}, 1)}
	o.setSystemBuffer(systemBuffer)
	return o
}

func (o *outbox) setSystemBuffer(bytes int) {
	if c, ok := o.Conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		c.SetWriteBuffer(bytes) // a wish
	}
}

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

// flush writes what has gathered. It returns errSlow if the caller takes nothing of it for so
// long; what is left stays, ahead of what is written later. It is for one goroutine.
func (o *outbox) flush(patience time.Duration) error {
	frames, cut := o.take()
	for written := 0; written < len(frames); {
		err := o.allow(patience)
		n := 0
		if err == nil {
			n, err = o.Conn.Write(frames[written:])
			written += n
		}
		if err == nil {
			continue
		}
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			if err = errSlow; n > 0 && !o.late() {
				continue
			}
		}
		o.putBack(frames, cut, written)
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(frames) > 0 && cap(frames) <= keptBuffer {
		o.spare = frames[:0]
	}
	return nil
}

// take returns what waits, which is the caller's to write.
func (o *outbox) take() (frames []byte, cut int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if frames = o.waiting; len(frames) > 0 {
		o.waiting, o.spare = o.spare[:0], nil
	}
	cut, o.cut = o.cut, 0
	return frames, cut
}

// putBack makes what was not written wait again.
func (o *outbox) putBack(frames []byte, cut, written int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut = endOfFrame(frames, cut, written) - written
	o.waiting = append(append([]byte(nil), frames[written:]...), o.waiting...)
}

// allow gives the next write its time: no longer than the caller may take nothing, or than there is
// left.
func (o *outbox) allow(patience time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	end := time.Now().Add(patience)
	if !o.deadline.IsZero() && o.deadline.Before(end) {
		end = o.deadline
	}
	return o.Conn.SetWriteDeadline(end)
}

// hasten has everything written within limit, also what is being written now.
func (o *outbox) hasten(limit time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.deadline.IsZero() {
		o.deadline = time.Now().Add(limit)
		o.Conn.SetWriteDeadline(o.deadline)
	}
}

// late reports whether the time for all that is still to be written is over.
func (o *outbox) late() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.deadline.IsZero() && !time.Now().Before(o.deadline)
}

// drop forgets the frames of which nothing was written, and makes room for a last one.
func (o *outbox) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = o.waiting[:min(o.cut, len(o.waiting))]
	o.setSystemBuffer(farewellBuffer)
}

// end has later writes fail.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
}

// linger takes what the caller still sends, until it closes the connection or the time is over.
// Were the connection closed with something unread, the caller might lose what it was told last
// (RFC 1122, section 4.2.2.13).
func (o *outbox) linger(until time.Time) {
	if c, ok := o.Conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	if o.Conn.SetReadDeadline(until) == nil {
		io.Copy(io.Discard, o.Conn)
	}
}

// endOfFrame returns where the frame ends that goes on at a place, or the place itself if none
// does. At known, which is not behind the place unless one frame fills all up to it, a frame begins.
// Frames are those of a server, which are not masked (RFC 6455, section 5.2).
func endOfFrame(frames []byte, known, place int) int {
	end := known
	for end < place && end+2 <= len(frames) {
		length, header := uint64(frames[end+1]&0x7f), 2
		switch {
		case length == 126 && end+4 <= len(frames):
			length, header = uint64(binary.BigEndian.Uint16(frames[end+2:])), 4
		case length == 127 && end+10 <= len(frames):
			length, header = binary.BigEndian.Uint64(frames[end+2:]), 10
		}
		end += header + int(length)
	}
	return max(end, place)
}
