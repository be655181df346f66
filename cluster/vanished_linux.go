package cluster

import "syscall"

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h, which syscall does not name.
const tcpUserTimeout = 18

// limitUnacknowledged has a connection end when what it sent was not acknowledged for as long
// as [vanished] says.
func limitUnacknowledged(_, _ string, c syscall.RawConn) error {
	var err error
	if failed := c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(vanished.Milliseconds()))
	}); failed != nil {
		return failed
	}
	return err
}
