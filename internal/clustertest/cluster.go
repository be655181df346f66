// Package clustertest runs whole clusters inside a testing/synctest bubble: real
// nodes over an in-memory network, with stores that outlive them. Time is virtual, so
// an hour of elections takes seconds, and nothing depends on the machine's load.
//
// Every function must be called from within a bubble. Faults of the network are those
// of [memnet.Network]; a node's host is its id.
package clustertest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/memnet"
)

// Registry is the default registry of the clusters made here.
const Registry = "tes-registry-v1"

// Cluster is a set of nodes and the network between them.
type Cluster struct {
	Net   *memnet.Network
	Nodes []*Node

	t         *testing.T
	founders  int // how many of the nodes found the cluster: the first ones
	configure func(*cluster.Config)
}

// Node is one member: a host, its stores, and the node that runs on them, if one does.
// It may be used while another goroutine crashes and restarts it.
type Node struct {
	ID        string // also its host on the network
	Store     *raft.InmemStore
	Snapshots raft.SnapshotStore
	Disk      *Disk            // what they lie on, and may fail
	Log       raft.LogStore    // what the node writes its log to: Store on Disk, unless a test wraps it
	Stable    raft.StableStore // and its term and vote

	mu     sync.Mutex
	held   bool // its stores, by a process that runs
	life   *life
	node   *cluster.Node      // the one that was started last
	cancel context.CancelFunc // nil while it does not run
	done   chan error
}

// Current returns the node that was started last on the member's stores.
func (n *Node) Current() *cluster.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.node
}

// Running reports whether the node runs.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cancel != nil
}

// Propose is that of the current node.
func (n *Node) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	return n.Current().Propose(ctx, c)
}

// Read is that of the current node.
func (n *Node) Read(ctx context.Context, o cluster.ReadOptions) (fsm.View, error) {
	return n.Current().Read(ctx, o)
}

// View is that of the current node.
func (n *Node) View() fsm.View { return n.Current().View() }

// Status is that of the current node.
func (n *Node) Status() cluster.Status { return n.Current().Status() }

// Member returns the node as it sees itself in the cluster's configuration, or nil.
func (n *Node) Member() *cluster.Member {
	for _, m := range n.Current().Members(context.Background()) {
		if m.ID == n.ID {
			return &m
		}
	}
	return nil
}

// Sign is that of the current node.
func (n *Node) Sign(payload []byte) (string, error) { return n.Current().Sign(payload) }

// Check returns the first check of readiness that the current node does not pass; ok is
// false if it passes all.
func (n *Node) Check() (check cluster.Check, ok bool) {
	for _, check := range n.Current().Ready() {
		if !check.OK {
			return check, true
		}
	}
	return cluster.Check{}, false
}

// New makes a cluster of size nodes, n1, n2 and so on, and starts them. configure,
// which may be nil, changes each node's configuration before it is opened. The
// cluster ends with the test.
func New(t *testing.T, size int, configure func(*cluster.Config)) *Cluster {
	t.Helper()
	c := Prepare(t, size, configure)
	for _, n := range c.Nodes {
		c.Start(n)
	}
	return c
}

// Prepare is New without starting the nodes.
func Prepare(t *testing.T, size int, configure func(*cluster.Config)) *Cluster {
	t.Helper()
	c := &Cluster{Net: memnet.New(), t: t, founders: size, configure: configure}
	t.Cleanup(c.Net.Close)
	for range size {
		c.Add()
	}
	return c
}

// Add returns a further node, which does not run yet. Once the cluster is prepared it is
// none of the founders.
func (c *Cluster) Add() *Node {
	n := &Node{ID: fmt.Sprintf("n%d", len(c.Nodes)+1)}
	n.Wipe()
	c.t.Cleanup(func() { c.Stop(n) })
	c.Nodes = append(c.Nodes, n)
	return n
}

// Wipe gives a node that does not run empty stores, as if its disk had been lost.
func (n *Node) Wipe() {
	n.Store, n.Snapshots = raft.NewInmemStore(), &snapshots{}
	n.onDisk()
}

// Start opens and runs a node on the stores that it has.
func (c *Cluster) Start(n *Node) {
	c.t.Helper()
	if err := c.TryStart(n); err != nil {
		c.t.Fatalf("opening %s: %v", n.ID, err)
	}
}

// TryStart is Start for a node that may refuse to be opened, or runs.
func (c *Cluster) TryStart(n *Node) error {
	if err := n.lock(); err != nil {
		return err
	}
	l := &life{LogStore: n.Log, StableStore: n.Stable, disk: n.Disk}
	cfg := cluster.Config{
		NodeID: n.ID, RaftAddress: address(n.ID), RegistryID: Registry,
		Storage: &cluster.Storage{Log: l, Stable: l, Snapshots: lifeSnapshots{n.Snapshots, l}},
		Network: host{c.Net, n.ID},
	}
	for _, peer := range c.Nodes[:c.founders] {
		cfg.Peers = append(cfg.Peers, cluster.Peer{ID: peer.ID, Address: address(peer.ID)})
	}
	if c.configure != nil {
		c.configure(&cfg)
	}
	node, err := cluster.Open(cfg)
	if err != nil {
		n.unlock()
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	n.mu.Lock()
	n.life, n.node, n.cancel, n.done = l, node, cancel, done
	n.mu.Unlock()
	go func() {
		err := node.Run(ctx)
		n.unlock()
		done <- err
	}()
	return nil
}

// lock gives the stores to one process, as a real log does by a lock on its file. That lock outlives whatever
// hangs in a write, so what hung in the process before cannot come any more.
func (n *Node) lock() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.held {
		return fmt.Errorf("%s runs", n.ID)
	}
	if n.held = true; n.life != nil {
		n.life.kill()
	}
	return nil
}

func (n *Node) unlock() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = false
}

// Stop stops a node gracefully, if it runs, and returns what its Run returned.
func (c *Cluster) Stop(n *Node) error {
	n.mu.Lock()
	cancel, done, l := n.cancel, n.done, n.life
	n.cancel = nil
	n.mu.Unlock()
	if cancel == nil {
		return nil
	}
	defer l.end() // what hangs in a write outlives Run, until the next start
	cancel()
	return <-done
}

// Ended waits for a node to stop by itself, for limit at most, and returns why it did; ok
// is false if it did not.
func (c *Cluster) Ended(n *Node, limit time.Duration) (err error, ok bool) {
	select {
	case err := <-n.done:
		n.done <- err // for Stop
		c.Stop(n)
		return err, true
	case <-time.After(limit):
		return nil, false
	}
}

// Crash ends nodes, all at once, as if their processes had been killed: nothing that they do
// from now on reaches anyone, or their stores. It returns how many connections broke.
func (c *Cluster) Crash(nodes ...*Node) (broken int) {
	for _, n := range nodes {
		broken += c.Net.Crash(n.ID)
		n.mu.Lock()
		if n.life != nil {
			n.life.kill()
		}
		n.mu.Unlock()
	}
	for _, n := range nodes {
		c.Stop(n)
	}
	return broken
}

// Wait waits until the condition holds, for as much virtual time as limit says.
func (c *Cluster) Wait(what string, limit time.Duration, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(limit); !holds(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			c.t.Fatalf("after %v: %s", limit, what)
		}
	}
}

// Leader waits for a leader that is ready for reads and returns it. Nodes in except
// do not count.
func (c *Cluster) Leader(except ...*Node) *Node {
	c.t.Helper()
	var leader *Node
	c.Wait("there is no leader", time.Minute, func() bool {
		for _, n := range c.Nodes {
			if n.Running() && !contains(except, n) && n.Status().Role == cluster.Leader && n.View().Founded() {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// Follower returns a running node that is not the leader and not in except.
func (c *Cluster) Follower(except ...*Node) *Node {
	c.t.Helper()
	leader := c.Leader(except...)
	for _, n := range c.Nodes {
		if n.Running() && n != leader && !contains(except, n) {
			return n
		}
	}
	c.t.Fatal("there is no follower")
	return nil
}

// Ready waits until all running nodes are ready.
func (c *Cluster) Ready() {
	c.t.Helper()
	c.Wait("not all nodes are ready", time.Minute, func() bool {
		for _, n := range c.Nodes {
			if _, unready := n.Check(); unready && n.Running() {
				return false
			}
		}
		return true
	})
}

// Agree waits until all running nodes have applied the same index, and fails the test
// if their states differ there. It returns the common state's view.
func (c *Cluster) Agree() fsm.View {
	c.t.Helper()
	var views []fsm.View
	c.Wait("the nodes do not reach one applied index", time.Minute, func() bool {
		views = views[:0]
		for _, n := range c.Nodes {
			if n.Running() {
				views = append(views, n.View())
			}
		}
		for _, v := range views {
			if v.Index() != views[0].Index() {
				return false
			}
		}
		return len(views) > 0
	})
	for i, v := range views {
		if v.StateHash() != views[0].StateHash() {
			c.t.Fatalf("states differ at index %d between the running nodes 0 and %d", v.Index(), i)
		}
	}
	return views[0]
}

// Command returns a command to the default registry.
func Command(op fsm.Op) fsm.Command {
	return fsm.Command{Registry: Registry, Actor: "anonymous", Op: op}
}

// Entities returns a small registry: a global, two components linked to it, and an api
// linked to the first component.
func Entities() []fsm.Entity {
	entity := func(id string, kind fsm.EntityType, parent string) fsm.Entity {
		e := fsm.Entity{ID: id, Type: kind, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, ParentVersionID: parent, DisplayName: id}
		if parent != "" {
			e.UpdateStrategy = fsm.LinkedToParent
		}
		return e
	}
	return []fsm.Entity{
		entity("global:main", fsm.TypeGlobal, ""),
		entity("component:a", fsm.TypeComponent, "global:main"),
		entity("component:b", fsm.TypeComponent, "global:main"),
		entity("api:a", fsm.TypeAPIScope, "component:a"),
	}
}

// Seed is a cluster.Config's Seed that imports Entities.
func Seed() (fsm.Migrate, error) {
	return fsm.Migrate{Source: "test", Entities: Entities()}, nil
}

func contains(nodes []*Node, n *Node) bool {
	for _, m := range nodes {
		if m == n {
			return true
		}
	}
	return false
}

func address(id string) string { return id + ":9000" }

// host is the network as one node sees it.
type host struct {
	net *memnet.Network
	id  string
}

// Listen listens on an address of the host.
func (h host) Listen(address string) (net.Listener, error) { return h.net.Listen(address) }

// Dial connects from the host.
func (h host) Dial(ctx context.Context, address string) (net.Conn, error) {
	return h.net.Dial(ctx, h.id, address)
}
