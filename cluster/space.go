package cluster

import (
	"cmp"
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// minFree is how much of the disk must be free, besides room for two snapshots, for a node
// to take writes. The log's file grows by 16 MiB at a time, and what a follower is sent
// cannot be refused.
const minFree = 32 << 20

// checkSpace finds out whether the disk is nearly full. A node whose disk is takes no
// writes, so that it does not run into a disk that is full in the middle of one.
func (n *Node) checkSpace() {
	if n.cfg.Storage.Free == nil {
		return
	}
	free, err := n.cfg.Storage.Free()
	if err != nil {
		n.log.Error("asking for the free space of the disk failed", "error", err)
		return
	}
	full := free < minFree+2*uint64(n.adapter.snapshotSize.Load())
	if n.full.Swap(full) == full {
		return
	}
	if full {
		n.log.Error("storage_full", "freeBytes", free)
	} else {
		n.log.Info("storage_free", "freeBytes", free)
	}
}

// fault says why this node should not lead; "" if it may.
func (n *Node) fault() string {
	if n.full.Load() {
		return ErrStorageFull.Error()
	}
	return cmp.Or(n.unfit(), n.unseeded())
}

// abdicate hands leadership over to a voter that can serve, if this node cannot and
// another can. A node that waits for others to join its restored cluster leads on.
func (n *Node) abdicate(ctx context.Context, c *consensus) {
	if c.raft.State() != raft.Leader || n.fault() == "" || n.founding.awaited() != "" || !n.changing.TryLock() {
		return
	}
	defer n.changing.Unlock()
	m := n.membership(c)
	for _, member := range n.Members(ctx) {
		st := member.Status
		if !member.Voter || st == nil || st.Fault != "" || st.NodeID == n.cfg.NodeID || st.AppliedIndex+maxLag < c.raft.CommitIndex() {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, abdicateTimeout)
		err := m.transfer(ctx, member.ID)
		cancel()
		n.log.Warn("leadership is given away", "reason", n.fault(), "to", member.ID, "error", err)
		return
	}
}

const abdicateTimeout = 2 * time.Second
