package cluster

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// forgeries are what no node sends, as requests or as answers.
func forgeries() map[string][]byte {
	frame := func(size uint32, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, size), rest...)
	}
	return map[string][]byte{
		"text":                   []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"gob":                    {0x2d, 0x7f, 0x03, 0x01, 0x01, 0x07, 0x52, 0x65, 0x71, 0x75, 0x65, 0x73, 0x74},
		"too large":              frame(maxFrame+1, 1),
		"empty":                  frame(0),
		"without kind":           frame(1, 1),
		"a number without end":   frame(11, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255),
		"a message that is none": frame(3, 1, byte(methodReadIndex), 255),
	}
}

// TestForgedRequests has a node that is called hang up on what is no request.
func TestForgedRequests(t *testing.T) {
	for name, b := range forgeries() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				theirs, ours := net.Pipe()
				go serveCalls(theirs, (&service{}).handle)
				go ours.Write(b)
				if n, err := ours.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("it was answered: %d bytes, %v", n, err)
				}
			})
		})
	}
}

// TestForgedAnswers has a caller give up a connection that brings what is no answer, and say so
// in other words than of one that just ended.
func TestForgedAnswers(t *testing.T) {
	answers := forgeries()
	answers["neither an answer nor an error"] = []byte{0, 0, 0, 2, 1, refused + 1}
	for name, b := range answers {
		t.Run(name, func(t *testing.T) {
			calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
				failed := later(t.Context(), c)
				newFrames(peer.conns[0]).read()
				peer.conns[0].Write(b)
				err := <-failed
				if !errors.Is(err, errMalformed) || errors.Is(err, errNotSent) {
					t.Errorf("the call failed with %v", err)
				}
				if said := silence(err); !strings.Contains(said, "does not speak") {
					t.Errorf("it is called %q", said)
				}
				peer.answer(echoes)
				mustAsk(t, c)
			})
		})
	}
}

// script is a connection that brings what it is made of and takes anything.
type script struct {
	net.Conn
	*bytes.Reader
}

func (s script) Read(b []byte) (int, error)       { return s.Reader.Read(b) }
func (script) Write(b []byte) (int, error)        { return len(b), nil }
func (script) SetWriteDeadline(t time.Time) error { return nil }
func (script) Close() error                       { return nil }

func scripted(b []byte) script { return script{Reader: bytes.NewReader(b)} }

// TestForgedSize has a frame that ends long before it should.
func TestForgedSize(t *testing.T) {
	b := append(binary.BigEndian.AppendUint32(nil, maxFrame), 1, 2, 3)
	took := allocated(func() {
		if _, err := newFrames(scripted(b)).read(); err != io.ErrUnexpectedEOF {
			t.Errorf("it was read with %v", err)
		}
	})
	if took > 2*frameStep {
		t.Errorf("it took %d bytes of memory", took)
	}
}

// TestTooLargeToSend has messages that no frame holds: a request is not sent, and instead of
// an answer it is said why there is none.
func TestTooLargeToSend(t *testing.T) {
	var sent bytes.Buffer
	f := newFrames(recorder{&sent})
	f.most = 200
	large := &proposeReply{Outcomes: []forwarded{{Result: make([]byte, 200)}}}
	if _, err := f.encode(1, byte(methodPropose), large); err == nil || sent.Len() > 0 {
		t.Errorf("a request that is too large is sent: %v", err)
	}
	if err := f.reply(1, large, nil); err != nil {
		t.Fatal(err)
	}
	got, err := newFrames(scripted(sent.Bytes())).read()
	if err := (answer{got, err}).open(&proposeReply{}); err == nil || err.Error() != errFrameSize.Error() {
		t.Errorf("an answer that is too large came as %v", err)
	}
}

type recorder struct{ *bytes.Buffer }

func (r recorder) Close() error                     { return nil }
func (r recorder) LocalAddr() net.Addr              { return nil }
func (r recorder) RemoteAddr() net.Addr             { return nil }
func (r recorder) SetDeadline(time.Time) error      { return nil }
func (r recorder) SetReadDeadline(time.Time) error  { return nil }
func (r recorder) SetWriteDeadline(time.Time) error { return nil }

// TestOtherBuildsAreRefused has a node hang up on one whose calls are encoded otherwise.
func TestOtherBuildsAreRefused(t *testing.T) {
	served := make(chan struct{}, 2)
	p, err := listen(tcp{}, "n1", "127.0.0.1:0", func(net.Conn) { served <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.serve() }()
	for _, protocol := range []byte{'C', protocolCalls} {
		conn, err := net.Dial("tcp", p.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte{protocol})
		if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%c is answered: %d bytes, %v", protocol, n, err)
		}
		if got := len(served) > 0; got != (protocol != 'C') {
			t.Errorf("%c is served: %v", protocol, got)
		}
	}
	p.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzConnections gives anything to both ends of a connection.
func FuzzConnections(f *testing.F) {
	for _, b := range forgeries() {
		f.Add(b)
	}
	for i, m := range messages() {
		b, err := newFrames(nil).encode(1, byte(i/2+1), m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		serveCalls(scripted(b), echoes)
		for _, m := range []any{&readIndexReply{}, &proposeReply{}, &statusReply{}} {
			p := newPeer(scripted(b))
			go p.receive() // ends with what is scripted
			if _, done, err := p.send(t.Context(), methodTerm, m); err == nil {
				(<-done).open(blank(m))
			} else if !errors.Is(err, errEnded) {
				t.Error(err)
			}
		}
	})
}
