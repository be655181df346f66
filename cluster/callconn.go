package cluster

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// A connection of calls carries frames both ways, many calls at a time, and answers in
// any order. A frame is:
//
//	4 bytes  how long the rest is, big-endian
//	uvarint  the number of the call, which its answer bears too
//	1 byte   the method that is called, or how it went
//	rest     the message, or what went wrong
const frameHead = 4

const (
	// maxFrame is how large a frame may be. Commands have queueBytes at most, and what became of
	// the entities may have more. Text that someone else sends begins with a larger number.
	maxFrame = 2 * queueBytes

	frameStep  = 1 << 20        // bytes taken for a frame of which nothing has arrived, against a forged length
	readAtOnce = 16 << 10       // bytes: most batches and their outcomes have fewer
	frameKept  = 2 * entryBytes // bytes kept for the next frame to write: as a batch may take
)

// How a call went.
const (
	answered byte = iota
	refused       // with an error
)

// A peer that takes nothing loses the connection: one writes at a time, and all calls
// would wait behind one write. A frame may be as large as a registry, so each part
// of it has its own time.
const (
	writeStall = 5 * time.Second
	writeChunk = 256 << 10
)

var (
	errFrameSize = errors.New("the message is too large to be sent")

	// errEnded says that a call was not sent since the connection had ended before.
	errEnded = errors.New("the connection had ended")
)

// frame is one that was read. Its memory is its own, for commands and results are cut from
// it and live on.
type frame struct {
	number uint64
	kind   byte
	body   []byte
}

// frames reads and writes the frames of a connection.
type frames struct {
	conn net.Conn
	in   *bufio.Reader // whoever reads is alone
	most int           // bytes of a frame

	writing chan struct{} // full while someone writes
	out     []byte        // memory of the last frame written
}

func newFrames(conn net.Conn) *frames {
	return &frames{conn: conn, in: bufio.NewReaderSize(conn, readAtOnce), most: maxFrame, writing: make(chan struct{}, 1)}
}

// read reads a frame. An end of the connection is [io.ErrUnexpectedEOF] wherever it comes.
func (f *frames) read() (frame, error) {
	head, err := f.in.Peek(frameHead)
	if err != nil {
		return frame{}, unexpected(err)
	}
	size := int64(binary.BigEndian.Uint32(head))
	f.in.Discard(frameHead) // they were there
	if size > int64(f.most) {
		return frame{}, errMalformed
	}
	b := make([]byte, min(size, frameStep))
	for had := 0; ; {
		n, err := io.ReadFull(f.in, b[had:])
		if err != nil {
			return frame{}, unexpected(err)
		}
		if had += n; int64(had) == size {
			break
		}
		b = append(b, make([]byte, min(size-int64(had), int64(had)))...)
	}
	d := decoder{buf: b}
	read := frame{number: d.uint(), kind: d.byte()}
	read.body = d.buf
	return read, d.err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// encode makes a frame, for whoever is writing. On an error there is nothing to send.
func (f *frames) encode(number uint64, kind byte, message any) ([]byte, error) {
	b := append(f.out[:0], make([]byte, frameHead)...)
	b = append(binary.AppendUvarint(b, number), kind)
	b, err := appendMessage(b, message)
	if err != nil {
		return nil, err
	}
	if cap(b) <= frameKept {
		f.out = b
	}
	if len(b) > f.most {
		return nil, errFrameSize
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-frameHead))
	return b, nil
}

// send writes a frame, for whoever is writing. After an error part of it may have been sent,
// and nothing else can be.
func (f *frames) send(b []byte) error {
	for part := range slices.Chunk(b, writeChunk) {
		if err := f.conn.SetWriteDeadline(time.Now().Add(writeStall)); err != nil {
			return err
		}
		if _, err := f.conn.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// peer is a connection to a node that is called.
type peer struct {
	frames *frames
	last   uint64 // number of a call, for whoever is writing

	mu      sync.Mutex
	pending map[uint64]chan answer // calls that wait, by number; a channel takes one answer
	ended   bool                   // nothing is sent any more
}

// answer is the frame that came for a call, or why none will.
type answer struct {
	frame
	err error
}

// open reads the reply, or returns why there is none.
func (a answer) open(reply any) error {
	switch {
	case a.err != nil:
		return a.err
	case a.kind == answered:
		return decodeMessage(a.body, reply)
	case a.kind == refused:
		return callError(a.body)
	}
	return errMalformed
}

func newPeer(conn net.Conn) *peer {
	return &peer{frames: newFrames(conn), pending: make(map[uint64]chan answer)}
}

// send sends a request, nothing of it if there is an error. If it breaks off, that is the answer.
func (p *peer) send(ctx context.Context, m method, request any) (uint64, chan answer, error) {
	select {
	case p.frames.writing <- struct{}{}:
		defer func() { <-p.frames.writing }()
	case <-ctx.Done():
		return 0, nil, ctx.Err()
	}
	p.last++
	b, err := p.frames.encode(p.last, byte(m), request)
	if err != nil {
		return 0, nil, err
	}
	done := make(chan answer, 1)
	if !p.await(p.last, done) {
		return 0, nil, errEnded
	}
	if err := p.frames.send(b); err != nil {
		p.end(err)
	}
	return p.last, done, nil
}

// await enters a call, unless the connection has ended.
func (p *peer) await(number uint64, done chan answer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.pending[number] = done
	}
	return !p.ended
}

// take strikes a call out; nil if it does not wait any more.
func (p *peer) take(number uint64) chan answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := p.pending[number]
	delete(p.pending, number)
	return done
}

// receive hands out the answers until the connection ends.
func (p *peer) receive() {
	for {
		f, err := p.frames.read()
		if err != nil {
			p.end(err)
			return
		}
		if done := p.take(f.number); done != nil { // else whoever called has given up
			done <- answer{frame: f}
		}
	}
}

// end ends the connection. Calls that wait fail with err.
func (p *peer) end(err error) {
	p.mu.Lock()
	p.ended = true
	for _, done := range p.pending { // any order: all fail
		done <- answer{err: err}
	}
	clear(p.pending)
	p.mu.Unlock()
	p.frames.conn.Close() // last: whoever reads would give another reason
}

// serveCalls answers the calls that come over a connection until it ends, each in a
// goroutine of its own, and returns when all of them have ended. A request that is no
// message ends the connection.
func serveCalls(conn net.Conn, handle func(m method, request []byte) (reply any, err error)) {
	f := newFrames(conn)
	var group sync.WaitGroup
	defer group.Wait()
	defer conn.Close()
	for {
		request, err := f.read()
		if err != nil {
			return
		}
		group.Go(func() {
			reply, err := handle(method(request.kind), request.body)
			if !errors.Is(err, errMalformed) {
				err = f.reply(request.number, reply, err)
			}
			if err != nil {
				conn.Close()
			}
		})
	}
}

// reply answers a call, with an error if there is one.
func (f *frames) reply(number uint64, reply any, failure error) error {
	f.writing <- struct{}{}
	defer func() { <-f.writing }()
	var b []byte
	if failure == nil {
		b, failure = f.encode(number, answered, reply)
	}
	if failure != nil {
		var err error
		if b, err = f.encode(number, refused, callError(failure.Error())); err != nil {
			return err
		}
	}
	return f.send(b)
}
