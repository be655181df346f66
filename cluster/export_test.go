package cluster

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// What tests reach of a node beyond its surface.

// SetRPCsInFlight sets how many appends may be under way to one follower.
func SetRPCsInFlight(c *Config, n int) { c.rpcsInFlight = n }

// SetInsistence sets for how long a leader calls a follower that is down again and again, before it
// leaves it to the library when to try again.
func SetInsistence(c *Config, d time.Duration) { c.insist = d }

// SetAboveDisk puts a store between raft and the log, whose errors do not stop the node.
func SetAboveDisk(c *Config, above func(raft.LogStore) raft.LogStore) { c.aboveDisk = above }

// SetAltered has the machine of the node be given other entries than the log has.
func SetAltered(c *Config, altered func(index uint64, entry fsm.Entry) fsm.Entry) {
	c.altered = altered
}

// VerifyLeader asks raft in its own way whether the node still leads.
func (n *Node) VerifyLeader() error { return n.started().raft.VerifyLeader().Error() }

// Barrier puts an entry at the end of the log that no state machine sees.
func (n *Node) Barrier() error { return n.started().raft.Barrier(0).Error() }

// ApplyRaw puts bytes into the log as they are.
func (n *Node) ApplyRaw(entry []byte) error { return n.started().raft.Apply(entry, 0).Error() }

// LastLogIndex returns the index of the last entry of the node's log.
func (n *Node) LastLogIndex() uint64 { return n.started().raft.LastIndex() }

// LastSnapshot returns the index of the snapshot that raft takes for the newest.
func (n *Node) LastSnapshot() string { return n.started().raft.Stats()["last_snapshot_index"] }

// Campaign makes the node a candidate at once, as a leader does that hands over to it.
func (n *Node) Campaign() error {
	c := n.started()
	request := raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}
	return c.transport.TimeoutNow(c.index.id, n.port.address, &request, &raft.TimeoutNowResponse{})
}

// BeginRemoval has raft begin to take this node, the leader, out of the cluster, which the
// node itself would not do before it has handed over.
func (n *Node) BeginRemoval() {
	c := n.started()
	c.raft.RemoveServer(c.index.id, 0, 0)
}

// BeginDemotion has raft begin to make this node, the leader, a non-voter.
func (n *Node) BeginDemotion() {
	c := n.started()
	c.raft.DemoteVoter(c.index.id, 0, 0)
}

// AnswerReadIndex is this node's answer to a read index call of another node with a term.
func (n *Node) AnswerReadIndex(ctx context.Context, from *Node, term uint64) (uint64, error) {
	return n.started().index.serve(ctx, readIndexCall{From: from.port.id, Term: term})
}

// ReadIndexOver is the read index that this node finds if its machine is at view.
func (n *Node) ReadIndexOver(view fsm.View) (uint64, error) {
	c := n.started()
	return newReadIndex(c.index.id, c.raft, n.disk, func() fsm.View { return view }, n.calls).index()
}

// Snapshot has raft take a snapshot that leaves one entry of the log behind it: a store of
// raft's own for tests that has become empty counts its entries wrongly from then on.
func (n *Node) Snapshot() error {
	c := n.started()
	settings := c.raft.ReloadableConfig()
	settings.TrailingLogs = 1
	if err := c.raft.ReloadConfig(settings); err != nil {
		return err
	}
	return c.raft.Snapshot().Error()
}

// SnapshotSize is how large the node takes its last snapshot to be.
func (n *Node) SnapshotSize() int64 { return n.adapter.snapshotSize.Load() }

// StateHashAt returns the state hash after an entry, if the node still knows it.
func (n *Node) StateHashAt(index uint64) (fsm.Hash, bool) { return n.adapter.marks.at(index) }

// SalvageFrom is Salvage of stores.
func SalvageFrom(s *Storage) (fsm.View, error) { return salvage(s) }

// Watched is a store behind a failStop whose watchdog runs when it is told to.
type Watched struct{ disk *failStop }

// NewWatched opens one.
func NewWatched(s *Storage) *Watched {
	disk, err := openFailStop(s)
	if err != nil {
		panic(err)
	}
	return &Watched{disk}
}

// Write writes something.
func (w *Watched) Write() error { return w.disk.SetUint64([]byte("n"), 1) }

// Ticks has the watchdog tick so many times.
func (w *Watched) Ticks(n int) {
	for range n {
		w.disk.tick()
	}
}

// ComeBack brings the state of a node back from its storage as a start of the node does, but for
// raft: the snapshot, and all of the log.
func ComeBack(s *Storage, nodeID string) (fsm.View, error) {
	disk, err := openFailStop(s)
	if err != nil {
		return fsm.View{}, err
	}
	id, err := loadIdentity(disk, nodeID)
	if err != nil {
		return fsm.View{}, err
	}
	n := &Node{log: hclog.NewNullLogger(), disk: disk, adapter: newAdapter(context.Background(), nil), founding: newFounding(nil, "", disk, id)}
	if _, err := n.comeBack(); err != nil {
		return fsm.View{}, err
	}
	return salvage(s)
}

// TreePages returns where the pages of a log's file begin that its tree refers to.
func TreePages(path string) ([]int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	p := &pages{file: file, length: info.Size(), seen: make(map[uint64]bool)}
	if err := p.check(logBuckets()); err != nil {
		return nil, err
	}
	var all []int64
	for number := range p.seen {
		all = append(all, int64(number)*p.size)
	}
	slices.Sort(all)
	return all, nil
}

// MakeDir makes a data directory, and those above it.
func MakeDir(dir string) error { return makeDir(dir) }
