// Package loopback hands out ports of this machine to processes that tests and benchmarks
// start. It promises that no two claims hold the same port at once, of this process or of
// another one that asks here, and that the system gives the ports to nobody by itself.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports is a claim to TCP ports of the loopback interface. Whoever made it releases it when
// the processes that listen there have ended for good.
type Ports struct {
	// Addresses are the ports, as host:port.
	Addresses []string

	marks []net.PacketConn
}

// Claim finds n ports that nobody listens on. It can be called concurrently.
//
// A port cannot be kept by listening on it, because the process that it is for has to. What
// marks it as taken is a UDP socket of the same number, which nothing else here uses.
func Claim(n int) (*Ports, error) {
	// Below what Linux gives to connections that ask for any port (ip_local_port_range), so
	// that none of them takes one while its process is not running.
	const lowest, highest = 10_000, 32_000
	p := &Ports{}
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest))
		mark, err := net.ListenPacket("udp", address)
		if err != nil {
			continue // somebody has claimed it
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			mark.Close()
			continue // somebody listens there who does not ask here
		}
		l.Close()
		p.marks = append(p.marks, mark)
		if p.Addresses = append(p.Addresses, address); len(p.Addresses) == n {
			return p, nil
		}
	}
	p.Release()
	return nil, errors.New("there are no free ports on loopback")
}

// Release gives the ports back.
func (p *Ports) Release() {
	for _, mark := range p.marks {
		mark.Close()
	}
	p.marks = nil
}
