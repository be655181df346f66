package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A lan joins machines by a switch that holds each packet back for a fixed time. Nothing is lost or
// reordered, and there is no limit of bandwidth but that of the processors.
//
// A client's connection to a node is made inside the node's own machine, over its loopback: it has no
// delay, and costs the switch nothing.
type lan struct {
	machines []*machine
	delay    time.Duration // of each packet, one way
	group    sync.WaitGroup
}

// lanNetwork is where the machines are: addresses that are set aside for benchmarks (RFC 2544).
const lanNetwork = "198.18.0."

// startLAN starts so many machines and their switch.
func startLAN(count int, delay time.Duration) (*lan, error) {
	l := &lan{delay: delay}
	for i := range count {
		m, err := startMachine(netip.MustParseAddr(fmt.Sprint(lanNetwork, i+1)))
		if err != nil {
			l.close()
			return nil, err
		}
		l.machines = append(l.machines, m)
	}
	for _, from := range l.machines {
		l.group.Go(func() { l.forward(from) })
	}
	return l, nil
}

// close ends the switch and the machines.
func (l *lan) close() {
	for _, m := range l.machines {
		m.close()
	}
	l.group.Wait()
}

// machine returns the one that has an address, host:port.
func (l *lan) machine(address string) (*machine, error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("finding a machine: %w", err)
	}
	i := slices.IndexFunc(l.machines, func(m *machine) bool { return m.address == at.Addr() })
	if i < 0 {
		return nil, fmt.Errorf("no machine has the address %v", at.Addr())
	}
	return l.machines[i], nil
}

// dial connects to a server from the machine that it runs on.
func (l *lan) dial(ctx context.Context, _, address string) (net.Conn, error) {
	m, err := l.machine(address)
	if err != nil {
		return nil, err
	}
	return m.dial(ctx, address)
}

// A packet is on its way.
type packet struct {
	due  time.Time
	data []byte
}

// largestPacket is more than the devices pass on: they split what is longer than 1,500 bytes.
const largestPacket = 2048

// forward passes on what one machine sends, until its device is closed.
func (l *lan) forward(from *machine) {
	// What goes to one machine is in one queue: the delay is the same for all, so the first is due first.
	queues := make(map[netip.Addr]chan packet)
	for _, to := range l.machines {
		if to == from {
			continue
		}
		queue := make(chan packet, 4096) // when it is full, the device drops, as a switch would
		defer close(queue)
		queues[to.address] = queue
		l.group.Go(func() { deliver(to, queue) })
	}
	buffer := make([]byte, largestPacket)
	for {
		n, err := from.device.Read(buffer)
		if err != nil {
			return
		}
		to, ok := destination(buffer[:n])
		if queue := queues[to]; ok && queue != nil {
			queue <- packet{time.Now().Add(l.delay), slices.Clone(buffer[:n])}
		}
	}
}

// destination reads where an IPv4 packet goes to; of others it returns false.
func destination(data []byte) (netip.Addr, bool) {
	if len(data) < 20 || data[0]>>4 != 4 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(data[16:20])), true
}

// deliver gives a machine what comes for it, when it is due.
func deliver(to *machine, queue <-chan packet) {
	// The timers of Go are good to a millisecond when nothing else goes on; those of a thread to
	// microseconds, once it says that it wants that.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it packets are 50 µs late
	for p := range queue {
		for left := time.Until(p.due); left > 0; left = time.Until(p.due) {
			pause := unix.NsecToTimespec(int64(left))
			_ = unix.Nanosleep(&pause, nil) // a signal wakes it early
		}
		_, _ = to.device.Write(p.data) // a machine that is gone, or cannot keep up, loses packets
	}
}

// roundTrip measures how long a byte takes from the first machine to the second and back, at the median.
func (l *lan) roundTrip(ctx context.Context) (time.Duration, error) {
	const times = 25
	from, to := l.machines[0], l.machines[1]
	var listener net.Listener
	err := to.do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(to.address, 0).String())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the round trip: %w", err)
	}
	var echo sync.WaitGroup
	defer echo.Wait()
	defer listener.Close()
	echo.Go(func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	})
	conn, err := from.dial(ctx, listener.Addr().String())
	if err != nil {
		return 0, fmt.Errorf("measuring the round trip: %w", err)
	}
	defer conn.Close()
	took := make([]int64, 0, times)
	for i := range uint64(times) {
		sent := time.Now()
		if err := errors.Join(conn.SetDeadline(sent.Add(10*time.Second)), binary.Write(conn, binary.BigEndian, i), discard(conn, 8)); err != nil {
			return 0, fmt.Errorf("measuring the round trip: %w", err)
		}
		took = append(took, int64(time.Since(sent)))
	}
	slices.Sort(took)
	return time.Duration(percentile(took, 50)), nil
}

// discard reads so many bytes.
func discard(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	return err
}
