package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/raft"
)

// promotionTicks is how many times in a row, half a second apart, a non-voter must be
// found caught up before it becomes a voter: one that falls behind again at once would
// only weaken the majority.
const promotionTicks = 3

// promotion counts how long each non-voter has been caught up, at the leader.
type promotion struct {
	ticks map[raft.ServerID]int
	held  string // why nobody is promoted, when that was logged last
}

// tick promotes a non-voter that has been caught up for long enough, if this node leads.
func (p *promotion) tick(ctx context.Context, n *Node, c *consensus) {
	if c.raft.State() != raft.Leader || !n.changing.TryLock() {
		p.ticks = nil
		return
	}
	defer n.changing.Unlock()
	m := n.membership(c)
	var waiting []raft.Server
	for _, s := range m.servers {
		if s.Suffrage != raft.Voter {
			waiting = append(waiting, s)
		}
	}
	if len(waiting) == 0 {
		p.ticks = nil
		return
	}
	behind := lagging(n.Members(ctx), n.adapter.view().Cluster().ClusterID, c.raft.CommitIndex())
	ticks := make(map[raft.ServerID]int)
	for _, s := range waiting {
		if reason := behind.hold(nodeIDOf(s.ID)); reason != "" {
			if p.held != reason {
				p.held = reason
				n.log.Info("a new node is not promoted yet", "node", nodeIDOf(s.ID), "reason", reason)
			}
			continue
		}
		if ticks[s.ID] = p.ticks[s.ID] + 1; ticks[s.ID] >= promotionTicks {
			m.promote(ctx, s)
			break // the configuration has changed
		}
	}
	p.ticks = ticks
}

// promote makes a non-voter a voter.
func (m *membership) promote(ctx context.Context, s raft.Server) {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	err := m.commit(ctx, func() raft.IndexFuture { return m.c.raft.AddVoter(s.ID, s.Address, 0, changeTimeout) })
	if err != nil {
		m.n.log.Warn("a new node could not be promoted", "node", nodeIDOf(s.ID), "error", err)
		return
	}
	m.n.log.Info("node_promoted", "node", nodeIDOf(s.ID))
}

// lag is the members that are not caught up, by node id, with why.
type lag struct {
	voters, others map[string]string
}

func lagging(members []Member, clusterID string, commit uint64) lag {
	l := lag{make(map[string]string), make(map[string]string)}
	for _, m := range members {
		reason := ""
		if m.Status == nil {
			reason = fmt.Sprintf("node %s does not answer", m.ID)
		} else if m.Status.ClusterID != clusterID { // it has not applied the first entry yet
			reason = fmt.Sprintf("node %s has not joined yet", m.ID)
		} else if m.Status.AppliedIndex+maxLag < commit {
			reason = fmt.Sprintf("node %s is behind", m.ID)
		}
		if reason == "" {
			continue
		}
		if m.Voter {
			l.voters[m.ID] = reason
		} else {
			l.others[m.ID] = reason
		}
	}
	return l
}

// hold returns why a non-voter must not be promoted yet; "" if it may.
func (l lag) hold(id string) string {
	if reason, ok := l.others[id]; ok {
		return reason
	}
	first := ""
	for voter := range l.voters { // any order: the least is taken
		if first == "" || voter < first {
			first = voter
		}
	}
	return l.voters[first]
}
