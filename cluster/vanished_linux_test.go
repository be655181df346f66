package cluster

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// TestUnacknowledgedIsLimited asks the kernel at both ends of a connection how long it sends
// what nobody acknowledges.
func TestUnacknowledgedIsLimited(t *testing.T) {
	l, err := tcp{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := tcp{}.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for name, conn := range map[string]net.Conn{"the dialled end": near, "the accepted end": far} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		limit, asked := 0, error(nil)
		if err := raw.Control(func(fd uintptr) {
			limit, asked = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout)
		}); err != nil || asked != nil {
			t.Fatal(err, asked)
		}
		if got := time.Duration(limit) * time.Millisecond; got != vanished {
			t.Errorf("%s has a limit of %v, want %v", name, got, vanished)
		}
	}
}
