package lan

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

func TestDestination(t *testing.T) {
	four := []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2}
	if to, ok := destination(four); !ok || to.String() != "198.18.0.2" {
		t.Errorf("the destination: %v, %t", to, ok)
	}
	six := make([]byte, 40)
	six[0] = 0x60
	for _, data := range [][]byte{nil, four[:19], six} {
		if to, ok := destination(data); ok {
			t.Errorf("%v goes to %v", data, to)
		}
	}
}

// start starts three machines for a test.
func start(t *testing.T) *LAN {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may make machines")
	}
	l, err := Start(3)
	if err != nil {
		t.Skip("there can be no machines here:", err)
	}
	t.Cleanup(l.Close)
	return l
}

// echo has a machine send back what it is sent, by TCP, until the test ends.
func echo(t *testing.T, m *Machine) (address string) {
	t.Helper()
	var listener net.Listener
	err := m.Do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(m.Address, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			group.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); group.Wait() })
	return listener.Addr().String()
}

// dial connects from one machine to another that echoes.
func dial(t *testing.T, m *Machine, address string, limit time.Duration) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	conn, err := m.Dial(ctx, "tcp", address)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
		err = conn.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return conn, err
}

// back sends bytes and reads as many.
func back(conn net.Conn, data []byte) ([]byte, error) {
	sent := make(chan error, 1)
	go func() { _, err := conn.Write(data); sent <- err }()
	got := make([]byte, len(data))
	_, err := io.ReadFull(conn, got)
	if err != nil {
		return nil, err
	}
	return got, <-sent
}

func TestDelay(t *testing.T) {
	l := start(t)
	conn, err := dial(t, l.Machines[0], echo(t, l.Machines[1]), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, delay := range []time.Duration{0, 20 * time.Millisecond, 0} {
		slow := l.Impair(Impairment{Delay: delay}, Both(l.Machines[0], l.Machines[1])...)
		begun := time.Now()
		if _, err := back(conn, []byte{1}); err != nil {
			t.Fatal(err)
		}
		trip := time.Since(begun)
		if e := slow.End(); e.Any() != (delay > 0) || trip < 2*delay {
			t.Errorf("a delay of %v makes a round trip of %v: %+v", delay, trip, e)
		}
	}
}

// TestCut cuts one direction between two machines: neither reaches the other then, and a third
// reaches both.
func TestCut(t *testing.T) {
	l := start(t)
	a, b, c := l.Machines[0], l.Machines[1], l.Machines[2]
	atA, atB := echo(t, a), echo(t, b)
	cut := l.Impair(Impairment{Cut: true}, Way{a, b})
	for _, cannot := range []struct {
		from *Machine
		to   string
	}{{a, atB}, {b, atA}} {
		if _, err := dial(t, cannot.from, cannot.to, 300*time.Millisecond); err == nil {
			t.Errorf("%v reaches %s", cannot.from.Address, cannot.to)
		}
	}
	for _, at := range []string{atA, atB} {
		if _, err := dial(t, c, at, 5*time.Second); err != nil {
			t.Errorf("a third does not reach %s: %v", at, err)
		}
		conn, err := l.Dial(t.Context(), "tcp", at)
		if err != nil {
			t.Errorf("the test does not reach %s: %v", at, err)
			continue
		}
		conn.Close()
	}
	if e := cut.End(); e.Lost < 2 { // what a said first, and what it answered
		t.Errorf("lost were %+v", e)
	}
	if _, err := dial(t, a, atB, 5*time.Second); err != nil {
		t.Error("it does not heal:", err)
	}
}

// TestSideBySide has two LANs, whose machines have the same addresses, in one program: what impairs one
// impairs nothing of the other, and neither is reached from it.
func TestSideBySide(t *testing.T) {
	one, other := start(t), start(t)
	at := echo(t, one.Machines[1])
	if _, err := dial(t, other.Machines[0], at, 5*time.Second); err == nil {
		t.Error("a machine reaches one of another LAN")
	}
	cut := other.Impair(Impairment{Cut: true}, Both(other.Machines[0], other.Machines[1])...)
	conn, err := dial(t, one.Machines[0], at, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := back(conn, []byte{1}); err != nil {
		t.Error(err)
	}
	if e := cut.End(); e.Any() {
		t.Errorf("a cut of another LAN meets packets: %+v", e)
	}
}

// TestLoss has TCP repeat what is lost.
func TestLoss(t *testing.T) {
	l := start(t)
	both := Both(l.Machines[0], l.Machines[1])
	conn, err := dial(t, l.Machines[0], echo(t, l.Machines[1]), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	lossy := l.Impair(Impairment{Loss: 0.05}, both...)
	twice := l.Impair(Impairment{Duplicate: 0.2}, both...)
	data := bytes.Repeat([]byte("0123456789abcdef"), 10<<10)
	if got, err := back(conn, data); err != nil || !bytes.Equal(got, data) {
		t.Errorf("what is lost does not arrive: %v", err)
	}
	if lost, doubled := lossy.End(), twice.End(); lost.Lost == 0 || doubled.Duplicated == 0 || doubled.Lost > 0 {
		t.Errorf("%+v and %+v", lost, doubled)
	}
}

// TestJitter has packets overtake each other and arrive twice, which UDP shows.
func TestJitter(t *testing.T) {
	l := start(t)
	from, to := l.Machines[0], l.Machines[1]
	var far net.PacketConn
	err := to.Do(func() (err error) {
		far, err = net.ListenPacket("udp", netip.AddrPortFrom(to.Address, 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := from.Dial(t.Context(), "udp", far.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	late := l.Impair(Impairment{Jitter: 20 * time.Millisecond, Duplicate: 1}, Way{from, to})
	const packets = 50
	for i := range uint32(packets) {
		if err := binary.Write(near, binary.BigEndian, i); err != nil {
			t.Fatal(err)
		}
	}
	far.SetReadDeadline(time.Now().Add(10 * time.Second))
	overtaken, highest, data := 0, uint32(0), make([]byte, 4)
	for range 2 * packets {
		if _, _, err := far.ReadFrom(data); err != nil {
			t.Fatal(err)
		}
		if n := binary.BigEndian.Uint32(data); n < highest {
			overtaken++
		} else {
			highest = n
		}
	}
	if e := late.End(); overtaken == 0 || e.Delayed != packets || e.Duplicated != packets {
		t.Errorf("%d were overtaken: %+v", overtaken, e)
	}
}
