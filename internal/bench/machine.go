package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A machine is a network namespace with a loopback and one device, whose other end is this program's:
// what its processes send to others comes out of device as IPv4 packets, and what is written there
// comes to them. The namespace has no name and the device no life beyond its file, so nothing of it is left
// when this program and what it started have ended, however they did.
type machine struct {
	address netip.Addr
	device  *os.File
	work    chan func()
	ended   chan struct{}
}

// startMachine makes a machine. It lives on a thread of its own until close; that needs root.
func startMachine(address netip.Addr) (*machine, error) {
	m := &machine{address: address, work: make(chan func()), ended: make(chan struct{})}
	made := make(chan error)
	go func() {
		defer close(m.ended)
		runtime.LockOSThread() // and never unlocked: the thread ends here, as it is good for nothing else
		err := m.make()
		made <- err
		if err != nil {
			return
		}
		for f := range m.work {
			f()
		}
	}()
	if err := <-made; err != nil {
		<-m.ended
		return nil, fmt.Errorf("making machine %v: %w", address, err)
	}
	return m, nil
}

// make moves the calling thread into a new namespace and gives that its devices.
func (m *machine) make() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		return errors.New("a network namespace of its own: only root may make one; run this as root")
	} else if err != nil {
		return fmt.Errorf("a network namespace of its own: %w", err)
	}
	const name = "tun0"
	fd, err := openTUN(name)
	if err != nil {
		return err
	}
	if err := configure(name, m.address); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	m.device = os.NewFile(uintptr(fd), name)
	return nil
}

// openTUN makes a device of IP packets in the calling thread's namespace. It ends with its file.
func openTUN(name string) (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("making a device: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// configure gives a device an address in a network of 256, and starts it and the loopback.
func configure(name string, address netip.Addr) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a socket: %w", err)
	}
	defer unix.Close(socket)
	four := address.As4()
	for _, step := range []struct {
		device string
		what   uint
		set    func(*unix.Ifreq) error
	}{
		{"lo", unix.SIOCSIFFLAGS, up},
		{name, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(four[:]) }},
		{name, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{name, unix.SIOCSIFFLAGS, up},
	} {
		request, err := unix.NewIfreq(step.device)
		if err == nil {
			err = step.set(request)
		}
		if err == nil {
			err = unix.IoctlIfreq(socket, step.what, request)
		}
		if err != nil {
			return fmt.Errorf("configuring %s: %w", step.device, err)
		}
	}
	return nil
}

func up(r *unix.Ifreq) error {
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return nil
}

// do has the machine's thread run f: what f opens or starts is of the machine.
func (m *machine) do(f func() error) error {
	done := make(chan error, 1)
	m.work <- func() { done <- f() }
	return <-done
}

// dial connects from inside the machine.
func (m *machine) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	err = m.do(func() error {
		// An address without a name is dialed on the calling thread.
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

// close ends the machine. Whoever uses it must have ended.
func (m *machine) close() {
	close(m.work)
	<-m.ended
	_ = m.device.Close()
}
