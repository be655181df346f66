package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// callee answers the calls of a test, over pipes.
type callee struct {
	conns []net.Conn // its ends, in the order in which they were made

	mu     sync.Mutex
	handle func(method, []byte) (any, error) // nil if the test answers
}

// answer has the callee answer on connections from now on.
func (c *callee) answer(handle func(method, []byte) (any, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handle = handle
}

func (c *callee) dial(context.Context, string) (net.Conn, error) {
	theirs, ours := net.Pipe()
	c.conns = append(c.conns, theirs)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handle != nil {
		go serveCalls(theirs, c.handle)
	}
	return ours, nil
}

// echoes answers a read index call with its term, and a Propose with each command as it came.
func echoes(m method, request []byte) (any, error) {
	switch m {
	case methodReadIndex:
		return handle(request, func(c readIndexCall, r *readIndexReply) error { r.Index = c.Term; return nil })
	case methodPropose:
		return handle(request, func(c proposeCall, r *proposeReply) error {
			for _, command := range c.Commands {
				r.Outcomes = append(r.Outcomes, forwarded{Result: command})
			}
			return nil
		})
	}
	return nil, errNotLeader
}

// calling runs a test of a caller against a callee, in virtual time.
func calling(t *testing.T, handle func(method, []byte) (any, error), test func(t *testing.T, c *caller, peer *callee)) {
	synctest.Test(t, func(t *testing.T) {
		peer := &callee{handle: handle}
		c := newCaller(peer.dial)
		defer func() {
			c.close()
			for _, conn := range peer.conns {
				conn.Close()
			}
		}()
		test(t, c, peer)
	})
}

func ask(ctx context.Context, c *caller, term uint64) (uint64, error) {
	r, err := call[readIndexReply](ctx, c, "peer", methodReadIndex, readIndexCall{Term: term})
	return r.Index, err
}

func mustAsk(t *testing.T, c *caller) {
	t.Helper()
	if got, err := ask(t.Context(), c, 7); err != nil || got != 7 {
		t.Fatalf("a call was answered %d, %v", got, err)
	}
}

// later makes a call of its own and returns where its error comes.
func later(ctx context.Context, c *caller) <-chan error {
	failed := make(chan error, 1)
	go func() {
		_, err := ask(ctx, c, 7)
		failed <- err
	}()
	synctest.Wait()
	return failed
}

// TestCalls has calls of all sizes, and errors, on one connection.
func TestCalls(t *testing.T) {
	calling(t, echoes, func(t *testing.T, c *caller, peer *callee) {
		mustAsk(t, c)
		for _, size := range []int{0, 1, 4 << 10, frameStep - 20, frameStep, 5<<20 + 1} {
			want := bytes.Repeat([]byte{byte(size), 1}, size)[:size]
			request := proposeCall{Commands: [][]byte{want, {2}}, Reach: []int{1, 1}, Requests: []string{"", ""}}
			r, err := call[proposeReply](t.Context(), c, "peer", methodPropose, request)
			if err != nil || len(r.Outcomes) != 2 || !bytes.Equal(r.Outcomes[0].Result, want) || !bytes.Equal(r.Outcomes[1].Result, []byte{2}) {
				t.Fatalf("a command of %d bytes came back otherwise: %v", size, err)
			}
		}
		_, err := call[termReply](t.Context(), c, "peer", methodTerm, termCall{})
		if err == nil || err.Error() != errNotLeader.Error() || errors.Is(err, errNotSent) {
			t.Errorf("what the peer said came as %v", err)
		}
		if _, err := (&service{}).handle(methodChange+1, nil); err == nil || errors.Is(err, errMalformed) {
			t.Errorf("a call that nobody knows is answered with %v", err)
		}
		mustAsk(t, c)
		if len(peer.conns) != 1 {
			t.Errorf("%d connections were made", len(peer.conns))
		}
	})
}

// TestAnswersInAnyOrder has the answer to one call wait for another call.
func TestAnswersInAnyOrder(t *testing.T) {
	second := make(chan struct{})
	handle := func(m method, request []byte) (any, error) {
		if m == methodTerm {
			close(second)
		} else {
			<-second
		}
		return echoes(m, request)
	}
	calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
		second = make(chan struct{})
		peer.answer(handle)
		first := later(t.Context(), c)
		if _, err := call[termReply](t.Context(), c, "peer", methodTerm, termCall{}); err == nil {
			t.Error("the second call was answered otherwise")
		}
		if err := <-first; err != nil {
			t.Errorf("the first call failed: %v", err)
		}
	})
}

// TestCallerGivesUp has an answer come when nobody waits for it any more.
func TestCallerGivesUp(t *testing.T) {
	handle := func(m method, request []byte) (any, error) {
		<-time.After(time.Second)
		return echoes(m, request)
	}
	calling(t, handle, func(t *testing.T, c *caller, peer *callee) {
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		if _, err := ask(ctx, c, 1); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNotSent) {
			t.Errorf("a call that was given up failed with %v", err)
		}
		if p := c.peers["peer"]; len(p.pending) > 0 {
			t.Errorf("%d calls wait", len(p.pending))
		}
		mustAsk(t, c)
		if len(peer.conns) != 1 {
			t.Errorf("%d connections were made", len(peer.conns))
		}
	})
}

// TestCallsOfAConnectionThatEnds tells calls that were sent from those that were not.
func TestCallsOfAConnectionThatEnds(t *testing.T) {
	calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
		first := later(t.Context(), c)
		head := make([]byte, 5)
		io.ReadFull(peer.conns[0], head) // a part of the request has arrived
		second := later(t.Context(), c)  // waits until the first is sent
		peer.answer(echoes)
		peer.conns[0].Close()
		if err := <-first; err == nil || errors.Is(err, errNotSent) {
			t.Errorf("a call that was half sent failed with %v", err)
		}
		if err := <-second; err != nil {
			t.Errorf("a call that waited was not sent on another connection: %v", err)
		}
		peer.conns[1].Close()
		synctest.Wait()
		mustAsk(t, c) // it ended unnoticed
		if len(peer.conns) != 3 {
			t.Errorf("%d connections were made", len(peer.conns))
		}
		c.close()
		if _, err := ask(t.Context(), c, 1); !errors.Is(err, ErrShuttingDown) || !errors.Is(err, errNotSent) {
			t.Errorf("a call of a caller that was closed failed with %v", err)
		}
	})
}

// TestPeerEndsWithoutAnswer has a connection end in good order with a call under way.
func TestPeerEndsWithoutAnswer(t *testing.T) {
	calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
		failed := later(t.Context(), c)
		newFrames(peer.conns[0]).read()
		peer.conns[0].Close()
		if err := <-failed; !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errNotSent) {
			t.Errorf("a call that was sent failed with %v", err)
		}
	})
}

// TestCloseFailsCalls has a caller close with a call under way.
func TestCloseFailsCalls(t *testing.T) {
	calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
		failed := later(t.Context(), c)
		newFrames(peer.conns[0]).read()
		c.close()
		if err := <-failed; !errors.Is(err, net.ErrClosed) || errors.Is(err, errNotSent) {
			t.Errorf("a call that was sent failed with %v", err)
		}
	})
}

// TestStalledPeer has a peer that takes nothing: neither the call that is being sent nor one
// that waits for that hangs.
func TestStalledPeer(t *testing.T) {
	calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
		start := time.Now()
		failed := later(t.Context(), c)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ask(ctx, c, 1); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errNotSent) {
			t.Errorf("a call that waited until its deadline failed with %v", err)
		}
		waiting := later(t.Context(), c)
		peer.answer(echoes)
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errNotSent) {
			t.Errorf("a call that nobody takes failed with %v", err)
		}
		if err := <-waiting; err != nil {
			t.Errorf("a call that waited was not sent on another connection: %v", err)
		}
		if took := time.Since(start); took > writeStall || len(peer.conns) != 2 {
			t.Errorf("after %v there were %d connections", took, len(peer.conns))
		}
	})
}

// TestLargeCallTakesItsTime has a peer that takes a large call part by part, in a multiple of
// the time after which a connection is given up that takes nothing.
func TestLargeCallTakesItsTime(t *testing.T) {
	calling(t, nil, func(t *testing.T, c *caller, peer *callee) {
		done := make(chan error, 1)
		start := time.Now()
		go func() {
			request := proposeCall{Commands: [][]byte{make([]byte, 8*writeChunk)}, Reach: []int{1}, Requests: []string{""}}
			_, err := call[proposeReply](t.Context(), c, "peer", methodPropose, request)
			done <- err
		}()
		synctest.Wait()
		go func() {
			part := make([]byte, writeChunk)
			io.ReadFull(peer.conns[0], part[:frameHead])
			for left := int(binary.BigEndian.Uint32(part)); left > 0; left -= min(left, writeChunk) {
				<-time.After(writeStall * 9 / 10)
				io.ReadFull(peer.conns[0], part[:min(left, writeChunk)])
			}
			peer.conns[0].Write([]byte{0, 0, 0, 3, 1, answered, 0})
		}()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 3*writeStall {
			t.Errorf("it took %v only", took)
		}
	})
}
