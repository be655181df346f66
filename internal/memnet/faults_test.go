package memnet_test

import (
	"context"
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

func TestCutHoldsAndHealDeliversInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		send(t, a, "before ")
		n.Cut("a", "b")
		send(t, a, "one ")
		send(t, a, "two")
		a.Close()
		if got := n.Held("a", "b"); got != len("one two") {
			t.Errorf("Held = %d", got)
		}
		receive(t, b, "before ") // had arrived
		b.SetReadDeadline(time.Now().Add(time.Hour))
		readFails(t, b, os.ErrDeadlineExceeded)
		b.SetReadDeadline(time.Time{})
		send(t, b, "b does not know that a has closed")

		time.AfterFunc(time.Hour, func() { n.Heal("a", "b") })
		receive(t, b, "one two")
		readFails(t, b, io.EOF)
		if got := n.Held("a", "b"); got != 0 {
			t.Errorf("Held after Heal = %d", got)
		}
	})
}

func TestCutIsOneWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		n.Cut("b:1", "a:49152") // addresses stand for their hosts
		send(t, a, "request")
		receive(t, b, "request")
		send(t, b, "response")
		if there, back := n.Held("a", "b"), n.Held("b", "a"); there != 0 || back != len("response") {
			t.Errorf("Held = %d, %d", there, back)
		}
		n.HealAll()
		receive(t, a, "response")
	})
}

func TestDialOverCut(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(n *memnet.Network)
	}{
		{"forth", func(n *memnet.Network) { n.Cut("a", "b") }},
		{"back", func(n *memnet.Network) { n.Cut("b", "a") }},
		{"isolated", func(n *memnet.Network) { n.Isolate("a") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *memnet.Network) {
				if _, err := n.Listen("b:1"); err != nil {
					t.Fatal(err)
				}
				c.fault(n)
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if _, err := n.Dial(ctx, "a", "b:1"); !isTimeout(err) {
					t.Errorf("Dial = %v, want a timeout", err)
				}
				took(t, start, 5*time.Second)

				time.AfterFunc(time.Second, n.HealAll)
				if _, err := n.Dial(t.Context(), "a", "b:1"); err != nil {
					t.Errorf("Dial across HealAll: %v", err)
				}
				took(t, start, 6*time.Second)
			})
		})
	}
}

func TestIsolateStandsBesideCut(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		n.Isolate("b")
		n.Cut("a", "b")
		n.Rejoin("b")
		send(t, b, "passes")
		receive(t, a, "passes")
		send(t, a, "held")
		if got := n.Held("a", "b"); got != len("held") {
			t.Errorf("Held = %d", got)
		}
	})
}

func TestDelay(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		n.Delay("a", "b", fixed(30*time.Millisecond))
		n.Delay("b", "a", fixed(5*time.Millisecond))
		start := time.Now()
		a, b := pair(t, n)
		took(t, start, 35*time.Millisecond)

		start = time.Now()
		send(t, a, "ping")
		if got := n.Held("a", "b"); got != len("ping") {
			t.Errorf("Held = %d", got)
		}
		receive(t, b, "ping")
		took(t, start, 30*time.Millisecond)
		send(t, b, "pong")
		receive(t, a, "pong")
		took(t, start, 35*time.Millisecond)

		start = time.Now()
		send(t, a, "slow")
		n.Delay("a", "b", nil)
		send(t, a, "fast")
		a.Close()
		receive(t, b, "slowfast") // nothing overtakes
		took(t, start, 30*time.Millisecond)
		readFails(t, b, io.EOF)
		took(t, start, 30*time.Millisecond)
	})
}

func TestCutOutlastsDelay(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		n.Delay("a", "b", fixed(time.Second))
		start := time.Now()
		time.AfterFunc(time.Second/2, func() { n.Cut("a", "b") })
		time.AfterFunc(time.Minute, func() {
			send(t, a, "second")
			n.Heal("a", "b")
		})
		send(t, a, "first ")
		receive(t, b, "first ")
		took(t, start, time.Minute)
		receive(t, b, "second")
		took(t, start, time.Minute+time.Second)
	})
}

func TestReset(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		n.Cut("a", "b")
		send(t, a, "lost")
		time.AfterFunc(time.Second, func() {
			if broken := n.Reset("a", "b"); broken != 1 {
				t.Errorf("%d connections broke, not 1", broken)
			}
		})
		readFails(t, b, syscall.ECONNRESET)
		readFails(t, a, syscall.ECONNRESET)
		writeFails(t, a, syscall.ECONNRESET)
		if err := a.Close(); err != nil {
			t.Errorf("Close after Reset: %v", err)
		}
		n.Heal("a", "b")
		if _, err := n.Dial(t.Context(), "a", "b:1"); err != nil {
			t.Errorf("Dial after Reset: %v", err)
		}
	})
}

func TestCrash(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		send(t, b, "last words")
		n.Crash("b")
		receive(t, a, "last words")
		readFails(t, a, syscall.ECONNRESET)
		writeFails(t, a, syscall.ECONNRESET)
		readFails(t, b, net.ErrClosed)
		if _, err := n.Dial(t.Context(), "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial to the crashed host: %v", err)
		}
		if _, err := n.Dial(t.Context(), "b", "b:1"); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("Dial from the crashed host: %v", err)
		}
		if _, err := n.Listen("b:1"); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Dial(t.Context(), "b", "b:1"); err != nil {
			t.Errorf("Dial after the restart: %v", err)
		}
	})
}

func TestCrashIsUnseenOverCut(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, _ := pair(t, n)
		start := time.Now()
		n.Isolate("b")
		n.Crash("b")
		send(t, a, "anyone there?")
		time.AfterFunc(time.Hour, func() { n.Rejoin("b") })
		readFails(t, a, syscall.ECONNRESET)
		took(t, start, time.Hour)
	})
}

func TestNetworkClose(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		l, err := n.Listen("b:2")
		if err != nil {
			t.Fatal(err)
		}
		n.Isolate("a")
		errs := make(chan error)
		for _, wait := range []func() error{
			func() error { _, err := a.Read(make([]byte, 1)); return err },
			func() error { _, err := b.Read(make([]byte, 1)); return err },
			func() error { _, err := l.Accept(); return err },
			func() error { _, err := n.Dial(t.Context(), "a", "b:2"); return err },
		} {
			go func() { errs <- wait() }()
		}
		synctest.Wait()
		n.Close()
		for range 4 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close of the network: %v", err)
			}
		}
		if _, err := n.Listen("b:3"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Listen after Close: %v", err)
		}
	})
}
