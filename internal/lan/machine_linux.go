package lan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// make moves the calling thread into a new namespace, for good, and gives that its devices.
func (m *Machine) make() error {
	runtime.LockOSThread() // and never unlocked: it ends with its goroutine, as it is good for nothing else
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
	if err := configure(name, m.Address); err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	if m.namespace, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return errors.Join(fmt.Errorf("opening the namespace: %w", err), unix.Close(fd))
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

// Dial connects from inside the machine to an address and port. It waits for nobody else who dials.
func (m *Machine) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, see make
		if err = unix.Setns(int(m.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("entering machine %v: %w", m.Address, err)
			return
		}
		// An address without a name is dialed on the calling thread.
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
	}()
	<-done
	return conn, err
}

// waiter waits for short times. It is of the goroutine that calls newWaiter.
type waiter struct{}

// The timers of Go are good to a millisecond when nothing else goes on; those of a thread to
// microseconds, once it says that it wants that.
func newWaiter() waiter {
	runtime.LockOSThread()                             // and never unlocked: what a thread of this kind starts would inherit that
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it packets are 50 µs late
	return waiter{}
}

func (waiter) until(t time.Time) {
	for left := time.Until(t); left > 0; left = time.Until(t) {
		pause := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&pause, nil) // a signal wakes it early
	}
}
