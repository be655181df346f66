package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

const (
	houseEvery = 500 * time.Millisecond

	// A snapshot is taken when the log since the last one exceeds this, or the size of
	// the last snapshot if that is more: writing snapshots then costs no more than
	// writing the log does. See [Config.SnapshotBytes].
	snapshotBytes = 64 << 20

	// minTrailing is how many entries the log keeps, at least, behind a snapshot, so
	// that a follower that is a little behind needs no snapshot.
	minTrailing = 4096
)

// keepHouse does what must be done now and then, while ctx lasts.
func (n *Node) keepHouse(ctx context.Context, c *consensus) {
	var lastSnapshot uint64 // index of the log when the last snapshot was taken
	var promotion promotion
	for {
		n.hear(ctx, c)
		n.checkMembership(ctx, c)
		promotion.tick(ctx, n, c)
		if view := n.adapter.view(); view.Founded() {
			if err := n.founding.belongTo(view.Cluster().ClusterID); err != nil {
				n.fail(err)
				return
			}
		}
		if err := n.invite(ctx, c); err != nil {
			n.fail(err)
			return
		}
		n.checkSpace()
		n.abdicate(ctx, c)
		if n.adapter.logged.Load() > max(n.cfg.SnapshotBytes, n.adapter.snapshotSize.Load()) {
			lastSnapshot = n.takeSnapshot(c, lastSnapshot)
		}
		pause(ctx, houseEvery)
		if ctx.Err() != nil {
			return
		}
	}
}

// checkMembership finds out whether this node has been removed. Its log says so, unless it
// was cut off before that reached it; then members who have a leader do.
func (n *Node) checkMembership(ctx context.Context, c *consensus) {
	servers := c.raft.GetConfiguration().Configuration().Servers
	if len(servers) == 0 {
		return // it was added, and waits for its first entry
	}
	member := isMember(servers, c.index.id)
	if member && c.leader.get().id == "" {
		for _, s := range servers {
			if s.ID == c.index.id {
				continue
			}
			ctx, cancel := context.WithTimeout(ctx, membersTimeout)
			r, err := call[probeReply](ctx, n.calls, string(s.Address), "Probe", probeCall{})
			cancel()
			if err == nil && r.Led && len(r.Members) > 0 && !isMember(r.Members, c.index.id) {
				member = false
			}
		}
	}
	if n.removed.Swap(!member) == member {
		n.log.Warn("this node's membership has changed", "member", member)
	}
}

func isMember(servers []raft.Server, id raft.ServerID) bool {
	return slices.ContainsFunc(servers, func(s raft.Server) bool { return s.ID == id })
}

// hear completes a first read index round: before it this node cannot know how far
// behind it is.
func (n *Node) hear(ctx context.Context, c *consensus) {
	if n.heard.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if index, err := c.index.own.do(ctx); err == nil {
		if _, err := n.adapter.wait(ctx, func(v fsm.View) bool { return v.Index() >= index }); err == nil {
			n.heard.Store(true)
		}
	}
}

// takeSnapshot writes a snapshot. The log keeps what came since the one before, so
// that the older of the two snapshots on disk stays usable.
func (n *Node) takeSnapshot(c *consensus, last uint64) uint64 {
	applied := c.raft.AppliedIndex()
	settings := c.raft.ReloadableConfig()
	settings.TrailingLogs = max(applied-min(last, applied)+n.cfg.TrailingLogs, n.cfg.TrailingLogs)
	if err := c.raft.ReloadConfig(settings); err != nil {
		n.log.Error("setting how much log a snapshot leaves", "error", err)
	}
	began := time.Now()
	err := c.raft.Snapshot().Error()
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) {
		n.log.Error("taking a snapshot failed", "error", err)
		return last
	}
	n.log.Info("snapshot taken", "index", applied, "bytes", n.adapter.snapshotSize.Load(), "duration", time.Since(began))
	return applied
}
