package cluster

import (
	"context"
	"net"
	"time"
)

// tcp is the network of a real node. A peer that vanished without a word is noticed in about
// five seconds: keep-alives do that while nothing is under way, and vanished else.
type tcp struct{}

// vanished is how long what was sent may go without an acknowledgement. Without such a limit
// TCP sends it again after longer and longer times, some minutes in the end, and for as long a
// connection would stay of no use after a cut that is healed.
const vanished = 5 * time.Second

// dialTimeout bounds one attempt to connect, for the same reason: the packet that begins it is
// sent again after 1, 3 and 7 seconds. A new attempt sends one at once.
const dialTimeout = 2 * time.Second

func (tcp) Listen(address string) (net.Listener, error) {
	l := net.ListenConfig{Control: limitUnacknowledged} // which accepted connections inherit
	return l.Listen(context.Background(), "tcp", address)
}

func (tcp) Dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{
		Timeout: dialTimeout, Control: limitUnacknowledged,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3},
	}
	return d.DialContext(ctx, "tcp", address)
}
