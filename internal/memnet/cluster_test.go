package memnet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/internal/memnet"
)

// Pinger is the service of the net/rpc test.
type Pinger struct{}

// Ping answers with the next number.
func (Pinger) Ping(in int, out *int) error {
	*out = in + 1
	return nil
}

func TestNetRPC(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		a, b := pair(t, n)
		n.Delay("a", "b", fixed(time.Millisecond))
		server := rpc.NewServer()
		if err := server.Register(Pinger{}); err != nil {
			t.Fatal(err)
		}
		go server.ServeConn(b)
		client := rpc.NewClient(a)
		defer client.Close()
		start := time.Now()
		for i := range 100 {
			var got int
			if err := client.Call("Pinger.Ping", i, &got); err != nil || got != i+1 {
				t.Fatalf("Ping(%d) = %d, %v", i, got, err)
			}
		}
		took(t, start, 100*time.Millisecond)
	})
}

// layer lets raft speak over the network.
type layer struct {
	net.Listener
	n *memnet.Network
}

func (l layer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return l.n.Dial(ctx, l.Addr().String(), string(addr))
}

// register is a state machine that counts what it applies.
type register struct {
	mu      sync.Mutex
	applied int
}

func (r *register) Apply(*raft.Log) any {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied++
	return r.applied
}

func (r *register) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.applied
}

func (r *register) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots here") }
func (r *register) Restore(io.ReadCloser) error         { return errors.New("no snapshots here") }

type node struct {
	raft  *raft.Raft
	trans *raft.NetworkTransport
	fsm   *register
}

// startCluster starts raft nodes on the addresses n0:1, n1:1 and so on. They
// stop with the test, also if it fails: a bubble ends only when all its
// goroutines have, and raft's timers would keep it running for ever.
func startCluster(t *testing.T, n *memnet.Network, size int) []node {
	t.Helper()
	var servers raft.Configuration
	for i := range size {
		servers.Servers = append(servers.Servers, raft.Server{
			ID:      raft.ServerID(fmt.Sprintf("n%d", i)),
			Address: raft.ServerAddress(fmt.Sprintf("n%d:1", i)),
		})
	}
	nodes := make([]node, size)
	for i, s := range servers.Servers {
		l, err := n.Listen(string(s.Address))
		if err != nil {
			t.Fatal(err)
		}
		trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: layer{l, n}, MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 500 * time.Millisecond,
			Logger: hclog.NewNullLogger(),
		})
		config := raft.DefaultConfig()
		config.LocalID = s.ID
		config.Logger = hclog.NewNullLogger()
		store, snaps, fsm := raft.NewInmemStore(), raft.NewInmemSnapshotStore(), &register{}
		if err := raft.BootstrapCluster(config, store, store, snaps, trans, servers); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(config, fsm, store, store, snaps, trans)
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = node{r, trans, fsm}
		t.Cleanup(func() { nodes[i].stop(t) })
	}
	return nodes
}

// stop shuts a node down. The streams must be closed too, for a handler of the
// transport lives until its connection ends.
func (nd node) stop(t *testing.T) {
	t.Helper()
	if err := nd.raft.Shutdown().Error(); err != nil {
		t.Error(err)
	}
	nd.trans.Close()
	nd.trans.CloseStreams()
}

// eventually waits in virtual time for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 60_000 {
		if ok() {
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}

func leader(t *testing.T, nodes []node, except int) int {
	t.Helper()
	found := -1
	eventually(t, "a leader", func() bool {
		for i, nd := range nodes {
			if i != except && nd.raft.State() == raft.Leader {
				found = i
			}
		}
		return found >= 0
	})
	return found
}

func apply(t *testing.T, nd node, count int) {
	t.Helper()
	for range count {
		if err := nd.raft.Apply([]byte("x"), time.Second).Error(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRaftOverPartition(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		nodes := startCluster(t, n, 3)
		for i := range nodes {
			for j := range nodes {
				n.Delay(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d", j), fixed(200*time.Microsecond))
			}
		}
		first := leader(t, nodes, -1)
		apply(t, nodes[first], 50)

		n.Isolate(fmt.Sprintf("n%d", first))
		lost := nodes[first].raft.Apply([]byte("never committed"), time.Second)
		second := leader(t, nodes, first)
		apply(t, nodes[second], 50)
		if err := lost.Error(); err == nil {
			t.Error("an isolated leader committed")
		}

		n.HealAll()
		eventually(t, "convergence", func() bool {
			for _, nd := range nodes {
				if nd.fsm.count() != 100 {
					return false
				}
			}
			return true
		})
	})
}

func TestRaftOverCrash(t *testing.T) {
	bubble(t, func(t *testing.T, n *memnet.Network) {
		nodes := startCluster(t, n, 3)
		first := leader(t, nodes, -1)
		apply(t, nodes[first], 5)
		n.Crash(fmt.Sprintf("n%d", first))
		second := leader(t, nodes, first)
		apply(t, nodes[second], 5)
	})
}
