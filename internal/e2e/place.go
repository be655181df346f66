package e2e

import (
	"context"
	"fmt"
	"net"
	"os/exec"

	"github.com/tesd/tesd/internal/lan"
	"github.com/tesd/tesd/internal/loopback"
)

// place says where a node listens: on free ports of loopback, or on the next machine.
func (c *Cluster) place(n *Node) {
	c.t.Helper()
	if l := c.options.LAN; l != nil {
		if len(c.Nodes) >= len(l.Machines)-1 { // the last is that of users
			c.t.Fatalf("there is no machine for %s", n.ID)
		}
		n.Machine = l.Machines[len(c.Nodes)]
		n.HTTP, n.Raft = fmt.Sprintf("%v:8001", n.Machine.Address), fmt.Sprintf("%v:9001", n.Machine.Address)
		return
	}
	ports, err := loopback.Claim(2)
	if err != nil {
		c.t.Fatal(err)
	}
	n.ports, n.HTTP, n.Raft = ports, ports.Addresses[0], ports.Addresses[1]
}

// within runs f where a node runs.
func (n *Node) within(f func() error) error {
	if n.Machine == nil {
		return f()
	}
	return n.Machine.Do(f)
}

// Users returns the machine of users, or nil on loopback.
func (c *Cluster) Users() *lan.Machine {
	l := c.options.LAN
	if l == nil {
		return nil
	}
	return l.Machines[len(l.Machines)-1]
}

// Dial connects to a node, given by its address and port, whatever the network between the nodes is like.
func (c *Cluster) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if l := c.options.LAN; l != nil {
		return l.Dial(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// DialUser connects to a node as users do: from their own machine, if they have one, over the network.
func (c *Cluster) DialUser(ctx context.Context, network, address string) (net.Conn, error) {
	if m := c.Users(); m != nil {
		return m.Dial(ctx, network, address)
	}
	return c.Dial(ctx, network, address)
}

// run runs a user's command where users are.
func (c *Cluster) run(cmd *exec.Cmd) error {
	if m := c.Users(); m == nil {
		return cmd.Run()
	} else if err := m.Do(cmd.Start); err != nil {
		return err
	}
	return cmd.Wait()
}
