package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

const houseEvery = 500 * time.Millisecond

// keepHouse does what must be done now and then, while ctx lasts.
func (n *Node) keepHouse(ctx context.Context, c *consensus) {
	var (
		promotion promotion
		compared  bool
	)
	taker := &snapshotTaker{node: n, consensus: c}
	defer taker.taking.Wait()
	for {
		n.hear(ctx, c)
		if err := n.checkMembership(ctx, c); err != nil {
			n.fail(err)
			return
		}
		promotion.tick(ctx, n, c)
		if view := n.adapter.view(); view.Founded() {
			if err := n.founding.belongTo(view.Cluster().ClusterID); err != nil {
				n.fail(err)
				return
			}
			if !compared {
				compared = true
				n.compareSettings(view.Cluster())
			}
		}
		if err := n.invite(ctx, c); err != nil {
			n.fail(err)
			return
		}
		n.checkSpace()
		n.abdicate(ctx, c)
		taker.look(ctx)
		pause(ctx, houseEvery)
		if ctx.Err() != nil {
			return
		}
	}
}

// compareSettings tells of settings that have no effect any more, since the founding fixed them.
func (n *Node) compareSettings(founded fsm.Genesis) {
	if n.cfg.HistoryKeep != founded.HistoryKeep {
		n.log.Warn("the cluster was founded with another setting, which holds", "setting", "history-keep",
			"founded", founded.HistoryKeep, "configured", n.cfg.HistoryKeep)
	}
}

// checkMembership finds out whether this node has been removed. Its log says so, unless it
// was cut off before that reached it; then members who have a leader do. A node that was
// added reads at first of configurations from before its time: it counts as removed only
// if it has been a member.
func (n *Node) checkMembership(ctx context.Context, c *consensus) error {
	servers := c.raft.GetConfiguration().Configuration().Servers
	member := isMember(servers, c.index.id)
	if member {
		if err := n.founding.belong(); err != nil {
			return err
		}
	} else if id, _ := n.founding.state(); !id.belonged() {
		return nil
	}
	if member && c.leader.get().id == "" {
		member = !n.removedElsewhere(ctx, c, servers)
	}
	if n.removed.Swap(!member) == member {
		n.log.Warn("this node's membership has changed", "member", member)
	}
	return nil
}

// removedElsewhere reports whether a member that knows a leader does not know this node.
func (n *Node) removedElsewhere(ctx context.Context, c *consensus, servers []raft.Server) bool {
	own := n.clusterID(n.adapter.view())
	for _, s := range servers {
		if s.ID == c.index.id {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, membersTimeout)
		r, err := call[probeReply](ctx, n.calls, string(s.Address), methodProbe, probeCall{})
		cancel()
		if err == nil && serverID(r.Self.ID, r.Self.Incarnation) == s.ID && r.ClusterID == own &&
			r.Led && len(r.Members) > 0 && !isMember(r.Members, c.index.id) {
			return true
		}
	}
	return false
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
