package memnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/internal/memnet"
)

// bubble runs a test on a fresh network in a synctest bubble, which fails if
// anyone is left waiting once the network is closed.
func bubble(t *testing.T, test func(t *testing.T, n *memnet.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		t.Cleanup(n.Close)
		test(t, n)
	})
}

// pair returns the ends of a connection from host a to host b.
func pair(t *testing.T, n *memnet.Network) (a, b net.Conn) {
	t.Helper()
	l, err := n.Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	a, err = n.Dial(t.Context(), "a", "b:1")
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func send(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if k, err := c.Write([]byte(s)); k != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, k, err)
	}
}

func receive(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}

func readFails(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if k, err := c.Read(make([]byte, 1)); k != 0 || !errors.Is(err, want) {
		t.Fatalf("Read = %d, %v; want %v", k, err, want)
	}
}

func writeFails(t *testing.T, c net.Conn, want error) {
	t.Helper()
	if k, err := c.Write([]byte("x")); k != 0 || !errors.Is(err, want) {
		t.Fatalf("Write = %d, %v; want %v", k, err, want)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// took fails unless exactly d of virtual time has passed since start.
func took(t *testing.T, start time.Time, d time.Duration) {
	t.Helper()
	if got := time.Since(start); got != d {
		t.Fatalf("took %v, want %v", got, d)
	}
}

func fixed(d time.Duration) func() time.Duration {
	return func() time.Duration { return d }
}

func TestEcho(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		go io.Copy(b, b) // ends with EOF
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		go a.Write(want)
		receive(t, a, string(want))
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAddresses(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		for _, c := range []struct{ name, got, want string }{
			{"dialling end, local", a.LocalAddr().String(), "a:49152"},
			{"dialling end, remote", a.RemoteAddr().String(), "b:1"},
			{"accepted end, local", b.LocalAddr().String(), "b:1"},
			{"accepted end, remote", b.RemoteAddr().String(), "a:49152"},
			{"network", a.LocalAddr().Network(), "memnet"},
		} {
			if c.got != c.want {
				t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
			}
		}
	})
}

func TestWriteBlocksOnFullWindow(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		full := make([]byte, memnet.Window)
		send(t, a, string(full))
		a.SetWriteDeadline(time.Now().Add(time.Second))
		writeFails(t, a, os.ErrDeadlineExceeded)
		a.SetWriteDeadline(time.Time{})

		written := make(chan error)
		go func() {
			_, err := a.Write([]byte("more"))
			written <- err
		}()
		synctest.Wait()
		select {
		case err := <-written:
			t.Fatalf("Write into a full window returned %v", err)
		default:
		}
		receive(t, b, string(full))
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		receive(t, b, "more")
	})
}

func TestDeadlines(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		start := time.Now()
		a.SetReadDeadline(start.Add(3 * time.Second))
		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
			t.Fatalf("Read past its deadline: %v", err)
		}
		took(t, start, 3*time.Second)

		send(t, b, "late")
		readFails(t, a, os.ErrDeadlineExceeded) // as with TCP, though there is data
		send(t, a, "x")                         // the write deadline is another
		a.SetDeadline(start)
		writeFails(t, a, os.ErrDeadlineExceeded)
		a.SetDeadline(time.Time{})
		receive(t, a, "late")

		// A deadline moved while a Read waits acts on it.
		time.AfterFunc(time.Minute, func() { a.SetReadDeadline(time.Now()) })
		readFails(t, a, os.ErrDeadlineExceeded)
		took(t, start, 3*time.Second+time.Minute)
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		send(t, a, "last words")
		blocked := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 1))
			blocked <- err
		}()
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-blocked; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read during own Close: %v", err)
		}
		readFails(t, a, net.ErrClosed)
		writeFails(t, a, net.ErrClosed)
		if err := a.SetDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetDeadline after Close: %v", err)
		}
		if err := a.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		receive(t, b, "last words")
		readFails(t, b, io.EOF)
		writeFails(t, b, syscall.EPIPE)
	})
}

func TestListenerClose(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		l, err := n.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen("b:1"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second Listen: %v", err)
		}
		a, err := n.Dial(t.Context(), "a", "b:1")
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		readFails(t, a, syscall.ECONNRESET) // nobody had accepted it
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if _, err := n.Dial(t.Context(), "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial without listener: %v", err)
		}
		if _, err := n.Listen("b:1"); err != nil {
			t.Errorf("Listen after Close: %v", err)
		}
	})
}
