package cluster_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// Situations in which a node could take another for what it is not, and did once.

// TestJoinBesideARemovedNode has the peer that a newcomer asks first be one that was removed,
// which knows nothing of the newcomer.
func TestJoinBesideARemovedNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		n2 := c.Nodes[1]
		if err := n2.Current().RemoveNode(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
		n4 := c.Add()
		c.Start(n4)
		waitsFor(t, c, n4, "tesd node add n4=n4:9000")
		mustAdd(t, c, n2, n4, false)
		c.Wait("n4 is not ready", time.Minute, func() bool { _, unready := n4.Check(); return !unready })
		c.Crash(c.Nodes[2])
		mustBump(t, n2, "api:a", "with n2 and n4 of three")
	})
}

// TestRemovalCountsWhoIsThere refuses to remove a voter when another one has lost its disk:
// the node that answers in its place is not the one that votes.
func TestRemovalCountsWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		leader, lost := c.Leader(), c.Follower()
		other := c.Nodes[0]
		for _, n := range c.Nodes {
			if n != leader && n != lost {
				other = n
			}
		}
		c.Crash(lost)
		lost.Wipe()
		c.Start(lost)
		waitsFor(t, c, lost, "--replace")
		wantMembershipError(t, leader.Current().RemoveNode(t.Context(), other.ID), cluster.ErrMembership, "no majority")
		for _, m := range leader.Current().Members(t.Context()) {
			if m.ID == lost.ID && m.Status != nil {
				t.Error("the lost node counts as reachable")
			}
		}
		mustBump(t, other, "api:a", "")
		mustAdd(t, c, other, lost, true)
	})
}

// TestNothingBeforeTheRegistry writes to a cluster whose leader has yet to import the registry
// that it starts with: that comes first, and if it cannot be read nothing comes.
func TestNothingBeforeTheRegistry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		missing := atomic.Bool{}
		missing.Store(true)
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			cfg.Seed = func() (fsm.Migrate, error) {
				if missing.Load() {
					return fsm.Migrate{}, errors.New("no such file")
				}
				return clustertest.Seed()
			}
		})
		put := clustertest.Command(fsm.Put{Entity: clustertest.Entities()[0]})
		for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
			for _, n := range c.Nodes {
				if _, err := n.Propose(t.Context(), put); err == nil {
					t.Fatalf("%s took a write before the registry was imported", n.ID)
				}
			}
		}
		for _, n := range c.Nodes { // there is a leader, and it says what it is about
			_, err := n.Read(t.Context(), cluster.ReadOptions{})
			if !errors.Is(err, cluster.ErrNotReady) || !strings.Contains(err.Error(), "leader is not ready yet") {
				t.Errorf("a read at %s: %v", n.ID, err)
			}
		}
		missing.Store(false)
		c.Ready()
		if r, _ := c.Agree().Registry(clustertest.Registry); r.Revision() != 1 || r.Len() != 4 {
			t.Errorf("the registry is at revision %d with %d entities", r.Revision(), r.Len())
		}
	})
}

// TestIncompleteClusterServesNobody writes to a restored cluster through a node that has
// joined while another one is missing: what is acknowledged would be on one disk.
func TestIncompleteClusterServesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		from := backup(t, c.Agree())
		for _, n := range c.Nodes {
			c.Stop(n)
			n.Wipe()
		}
		n1, n2 := c.Nodes[0], c.Nodes[1]
		mustRestore(t, n1, threePeers(), from)
		c.Start(n1)
		c.Start(n2)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
			if _, err := n2.Propose(t.Context(), patch("api:a")); err == nil {
				t.Fatal("a write was acknowledged")
			}
		}
		c.Start(c.Nodes[2])
		c.Ready()
		mustBump(t, n2, "api:a", "complete")
	})
}

// TestReplaceAfterARestart tries to take the place of a node that has just been restarted, to
// which the leader has a connection that broke unnoticed.
func TestReplaceAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		elsewhere := atomic.Bool{}
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			for i := range cfg.Peers {
				if elsewhere.Load() && cfg.Peers[i].ID == cfg.NodeID {
					cfg.RaftAddress, cfg.Peers[i].Address = "x:9999", "x:9999"
				}
			}
		})
		c.Ready()
		leader, old := c.Leader(), c.Follower()
		leader.Current().Members(t.Context())
		c.Crash(old)
		c.Start(old)
		c.Ready()
		elsewhere.Store(true)
		second := c.Add()
		second.ID = old.ID
		c.Start(second)
		<-time.After(time.Second)
		wantMembershipError(t, leader.Current().AddNode(t.Context(), old.ID, "x:9999", true), cluster.ErrMembership, "still answers")
	})
}

// scarce is a network of which one accept fails, for want of files.
type scarce struct {
	cluster.Network
	left *atomic.Int32
}

func (s scarce) Listen(address string) (net.Listener, error) {
	l, err := s.Network.Listen(address)
	return scarceListener{l, s.left}, err
}

type scarceListener struct {
	net.Listener
	left *atomic.Int32
}

func (l scarceListener) Accept() (net.Conn, error) {
	if l.left.Add(-1) == 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// TestTooManyFiles has a node fail to accept a connection: it goes on.
func TestTooManyFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left atomic.Int32
		left.Store(3)
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			if cfg.NodeID == "n2" {
				cfg.Network = scarce{cfg.Network, &left}
			}
		})
		c.Ready()
		if left.Load() >= 0 {
			t.Fatal("no accept has failed")
		}
		mustBump(t, c.Nodes[1], "api:a", "")
	})
}

// TestStopCutOff stops a node that reaches nobody, and that somebody waits at: neither takes
// longer than a moment.
func TestStopCutOff(t *testing.T) {
	for _, after := range []time.Duration{0, 2 * time.Second, 9 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.New(t, 3, seeded)
			c.Ready()
			f := c.Follower()
			c.Net.Isolate(f.ID)
			<-time.After(after)
			read := make(chan error, 1)
			go func() {
				_, err := f.Read(context.Background(), cluster.ReadOptions{Mode: cluster.Stale, Registry: clustertest.Registry, MinRevision: 100})
				read <- err
			}()
			synctest.Wait()
			began := time.Now()
			if err := c.Stop(f); err != nil {
				t.Errorf("cut off for %v, the node stopped with %v", after, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("cut off for %v, the node took %v to stop", after, took)
			}
			if err := <-read; !errors.Is(err, cluster.ErrShuttingDown) && !strings.Contains(err.Error(), "leader") {
				t.Errorf("the read ended with %v", err)
			}
		})
	}
}
