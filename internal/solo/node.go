// Package solo is a node that is a cluster by itself: the state machine behind a mutex,
// where a real node has a replicated log. It answers as a node of package cluster does
// that leads and never fails, from memory, with no goroutine of its own.
//
// It is what tests run the HTTP face of a node on, those of httpapi and, by way of
// client/clienttest, those of tesd's users.
package solo

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
)

// Config is what a [Node] is made of.
type Config struct {
	NodeID      string
	HTTPAddress string           // where it says it serves
	Now         func() time.Time // stamps transactions; called by one goroutine at a time

	// The cluster is founded with these. Without a ClusterID it is not founded.
	ClusterID   string
	Registry    string // the default registry
	HistoryKeep uint64 // as in [fsm.Genesis]
	Key         []byte // signs receipts
}

// Node is a cluster of one. It is safe for concurrent use.
type Node struct {
	cfg Config

	mu      sync.Mutex
	machine *fsm.Machine
	index   uint64
	moved   chan struct{} // closed when the machine moves on
	feed    *feed.Feed
}

// New makes a node, and founds its cluster.
func New(cfg Config) *Node {
	n := &Node{cfg: cfg, machine: fsm.New(), moved: make(chan struct{})}
	n.feed = feed.New(n.machine.View())
	if cfg.ClusterID != "" {
		n.carryOut(fsm.Command{Op: fsm.Genesis{
			ClusterID: cfg.ClusterID, RegistryID: cfg.Registry, KeyID: client.KeyID(cfg.Key), HistoryKeep: cfg.HistoryKeep,
		}})
	}
	return n
}

// Propose carries out a command, at once. As on its way through a log it is encoded and
// decoded, so that what does not survive that is noticed.
func (n *Node) Propose(_ context.Context, c fsm.Command) (fsm.Result, error) {
	decoded, err := fsm.DecodeCommand(fsm.EncodeCommand(nil, c))
	if err != nil {
		return fsm.Result{}, fmt.Errorf("decoding the command: %w", err)
	}
	return n.carryOut(decoded), nil
}

func (n *Node) carryOut(c fsm.Command) fsm.Result {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.apply(fsm.Entry{Stamp: n.cfg.Now().UnixMilli(), Commands: []fsm.Command{c}})[0]
}

// Apply applies an entry of the log as it is, for a test that makes one itself.
func (n *Node) Apply(entry fsm.Entry) []fsm.Result {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.apply(entry)
}

func (n *Node) apply(entry fsm.Entry) []fsm.Result {
	n.index++
	results := n.machine.Apply(n.index, entry)
	close(n.moved)
	n.moved = make(chan struct{})
	n.feed.Publish(n.machine.View(), results)
	n.feed.Tell()
	return results
}

// Read returns the state, which is as fresh as can be. It waits for a revision that is
// asked for, and fails with [cluster.ErrNotReady] if the context ends before that.
func (n *Node) Read(ctx context.Context, o cluster.ReadOptions) (fsm.View, error) {
	for {
		view, moved := n.state()
		if r, ok := view.Registry(o.Registry); o.MinRevision == 0 || ok && r.Revision() >= o.MinRevision {
			return view, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fsm.View{}, fmt.Errorf("%w: the deadline passed before there was revision %d", cluster.ErrNotReady, o.MinRevision)
		}
	}
}

// View returns the state.
func (n *Node) View() fsm.View {
	view, _ := n.state()
	return view
}

// state returns the state, and what is closed when there is a newer one.
func (n *Node) state() (fsm.View, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.machine.View(), n.moved
}

// Feed returns the transactions.
func (n *Node) Feed() *feed.Feed { return n.feed }

// Sign returns the signature of a receipt's payload.
func (n *Node) Sign(payload []byte) (string, error) {
	mac := hmac.New(sha256.New, n.cfg.Key)
	mac.Write(payload)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// Status returns that the node leads.
func (n *Node) Status() cluster.Status {
	view := n.View()
	hash := view.StateHash()
	return cluster.Status{
		NodeID: n.cfg.NodeID, HTTPAddress: n.cfg.HTTPAddress, ClusterID: view.Cluster().ClusterID,
		Role: cluster.Leader, Leader: n.cfg.NodeID, Term: 1,
		CommitIndex: view.Index(), AppliedIndex: view.Index(), StateHash: hex.EncodeToString(hash[:]),
	}
}

// Leader returns the node itself: there is no other.
func (n *Node) Leader() string { return n.cfg.NodeID }

// TakesWrites is true: there is no disk that could be full, and no other state.
func (n *Node) TakesWrites() bool { return true }

// Members returns the node itself. It has no raft port: the address is one of port 0.
func (n *Node) Members(context.Context) []cluster.Member {
	status := n.Status()
	return []cluster.Member{{ID: n.cfg.NodeID, RaftAddress: "127.0.0.1:0", Voter: true, Status: &status}}
}

// errAlone says why the membership cannot change.
var errAlone = fmt.Errorf("%w: there is no log that another node could follow", cluster.ErrMembership)

// AddNode fails with [cluster.ErrMembership], as do RemoveNode and TransferLeadership.
func (n *Node) AddNode(context.Context, string, string, bool) error { return errAlone }

// RemoveNode fails as AddNode does.
func (n *Node) RemoveNode(context.Context, string) error { return errAlone }

// TransferLeadership fails as AddNode does.
func (n *Node) TransferLeadership(context.Context, string) error { return errAlone }

// Ready returns that the node is ready, if its cluster has been founded.
func (n *Node) Ready() []cluster.Check {
	check := cluster.Check{Name: "founded", OK: n.View().Founded()}
	if !check.OK {
		check.Detail = "the cluster has not been founded yet"
	}
	return []cluster.Check{check}
}

// Reset has the feed forget what it holds in memory, as when a snapshot is installed.
func (n *Node) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.feed.Reset(n.machine.View())
	n.feed.Tell()
}
