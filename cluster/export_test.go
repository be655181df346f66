package cluster

import "github.com/tesd/tesd/fsm"

// What tests reach of a node beyond its surface.

// SetRPCsInFlight sets how many appends may be under way to one follower.
func SetRPCsInFlight(c *Config, n int) { c.rpcsInFlight = n }

// VerifyLeader asks raft in its own way whether the node still leads.
func (n *Node) VerifyLeader() error { return n.started().raft.VerifyLeader().Error() }

// Barrier puts an entry at the end of the log that no state machine sees.
func (n *Node) Barrier() error { return n.started().raft.Barrier(0).Error() }

// ApplyRaw puts bytes into the log as they are.
func (n *Node) ApplyRaw(entry []byte) error { return n.started().raft.Apply(entry, 0).Error() }

// LastLogIndex returns the index of the last entry of the node's log.
func (n *Node) LastLogIndex() uint64 { return n.started().raft.LastIndex() }

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
