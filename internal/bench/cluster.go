package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tesd/tesd/internal/loopback"
)

// A system is something that can be measured: how to run three nodes of it.
type system struct {
	name    string
	version string
	start   func(ctx context.Context, dir string, o nodeOptions) (*cluster, error)
}

// setUp makes a directory for data below dir, which must be on a disk, builds tesd there, and finds the peer
// unless there is to be none; then peer is nil. end removes the directory.
func setUp(ctx context.Context, dir, root, binary string, noPeer bool) (_ string, ours, peer *system, end func(), err error) {
	if dir, err = os.MkdirTemp(dir, "bench-"); err != nil {
		return "", nil, nil, nil, fmt.Errorf("making a temporary directory: %w", err)
	}
	end = func() { _ = os.RemoveAll(dir) }
	if err = refuseMemory(dir); err == nil { // before the build, which takes a while
		ours, err = tesd(ctx, root, dir)
	}
	if err == nil && !noPeer {
		peer, err = etcd(ctx, binary)
	}
	if err != nil {
		end()
	}
	return dir, ours, peer, end, err
}

// nodeOptions are what a benchmark asks of the nodes.
type nodeOptions struct {
	watchers int  // that a node must let in
	follower bool // watch a follower, not the leader
	entities int  // of the registry, beside the one that all have
	linked   int  // further ones, which all move with wideID
}

// A cluster is three nodes of one system that are ready.
type cluster struct {
	system  string
	nodes   []*node // the watched one first
	leader  *node   // when they became ready
	leads   func(ctx context.Context, nodes []*node) (int, error)
	dir     string
	ports   *loopback.Ports
	watch   watchFunc
	stall   func(ctx context.Context, count int) (end func(), err error) // opens watchers who read nothing
	current func(ctx context.Context) (int64, error)                     // the newest revision, linearizably
}

// A watchFunc opens watchers that receive what comes after revision base. connections is how
// many they share; 0 is one each.
type watchFunc func(ctx context.Context, count, connections int, base int64, room int) ([]*watcher, error)

// A node is one process of a cluster.
type node struct {
	*process
	id  string
	url string // of what its clients talk to
}

// stop ends the nodes and removes their data.
func (c *cluster) stop() {
	for _, n := range c.nodes {
		n.process.stop()
	}
	c.ports.Release()
	_ = os.RemoveAll(c.dir)
}

// alive returns an error if a node has exited.
func (c *cluster) alive() error {
	for _, n := range c.nodes {
		if err := n.process.alive(); err != nil {
			return err
		}
	}
	return nil
}

// errMoved says that the leader is another than when the nodes became ready.
var errMoved = errors.New("the leader changed")

// sameLeader returns errMoved if another node leads than when the nodes became ready, or none.
func (c *cluster) sameLeader(ctx context.Context) error {
	now := 0
	err := poll(ctx, 10*time.Second, func(ctx context.Context) (err error) {
		now, err = c.leads(ctx, c.nodes)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: afterwards there was none: %w", errMoved, err)
	}
	if c.nodes[now] != c.leader {
		return fmt.Errorf("%w: from %s to %s", errMoved, c.leader.id, c.nodes[now].id)
	}
	return nil
}

// launch starts three nodes on six ports, waits until leads has found their leader, and
// puts the node that is to be watched first.
func launch(ctx context.Context, system, dir string, o nodeOptions, starter func(dir string, ports []string) ([]*node, error),
	leads func(ctx context.Context, nodes []*node) (int, error)) (*cluster, error) {
	dir, err := os.MkdirTemp(dir, "bench-"+system+"-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for data: %w", err)
	}
	ports, err := loopback.Claim(6)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	c := &cluster{system: system, dir: dir, ports: ports, leads: leads}
	c.stall = func(context.Context, int) (func(), error) { return func() {}, nil }
	c.nodes, err = starter(dir, ports.Addresses)
	if err != nil {
		c.stop()
		return nil, err
	}
	leader := 0
	err = poll(ctx, 30*time.Second, func(ctx context.Context) error {
		if err := c.alive(); err != nil {
			return errors.Join(errStop, err)
		}
		leader, err = leads(ctx, c.nodes)
		return err
	})
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("%s did not become ready: %w", system, err)
	}
	c.leader = c.nodes[leader]
	first := leader
	if o.follower {
		first = (leader + 1) % len(c.nodes)
	}
	c.nodes[0], c.nodes[first] = c.nodes[first], c.nodes[0]
	return c, nil
}

// errStop marks an error that waiting longer does not mend.
var errStop = errors.New("gave up")

// poll calls f until it succeeds, for limit at most, and returns its last error.
func poll(ctx context.Context, limit time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil || errors.Is(err, errStop) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
