package cluster

import (
	"context"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// What tests reach of a node beyond its surface.

// SetRPCsInFlight sets how many appends may be under way to one follower.
func SetRPCsInFlight(c *Config, n int) { c.rpcsInFlight = n }

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
	return newReadIndex(c.index.id, c.raft, n.cfg.Storage.Log, func() fsm.View { return view }, n.calls).index()
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

// SalvageFrom is Salvage of stores.
func SalvageFrom(s *Storage) (fsm.View, error) { return salvage(s) }
