//go:build !linux

package lan

import (
	"context"
	"errors"
	"net"
	"time"
)

var errLinux = errors.New("only Linux has network namespaces")

func (m *Machine) make() error { return errLinux }

// Dial connects from inside the machine to an address and port. It waits for nobody else who dials.
func (m *Machine) Dial(context.Context, string, string) (net.Conn, error) { return nil, errLinux }

// waiter waits for short times.
type waiter struct{}

func newWaiter() waiter { return waiter{} }

func (waiter) until(t time.Time) { time.Sleep(time.Until(t)) }
