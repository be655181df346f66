package lan

import (
	"fmt"
	"net/netip"
	"os"
)

// Machine is a network namespace with a loopback and one device, whose other end is the
// switch's: what its processes send to others comes out of the device as IPv4 packets, and what is
// written there comes to them. The namespace has no name, and the device no life beyond its file.
// Its methods may be called concurrently.
type Machine struct {
	Address netip.Addr // what the others reach it by

	device    *os.File
	namespace *os.File
	work      chan func()
	ended     chan struct{}
}

// startMachine makes a machine. It lives on a thread of its own until it is closed.
func startMachine(address netip.Addr) (*Machine, error) {
	m := &Machine{Address: address, work: make(chan func()), ended: make(chan struct{})}
	made := make(chan error)
	go func() {
		defer close(m.ended)
		err := m.make() // which keeps the thread for this goroutine; it ends here
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

// Do has the machine's thread run f and returns what that returns: what f opens or starts is of the
// machine. The thread lasts until the machine is closed. It runs one f at a time.
func (m *Machine) Do(f func() error) error {
	done := make(chan error, 1)
	m.work <- func() { done <- f() }
	return <-done
}

// close ends the machine. Whoever uses it must have ended.
func (m *Machine) close() {
	close(m.work)
	<-m.ended
	_ = m.device.Close()
	_ = m.namespace.Close()
}
