package cluster

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// Status returns what this node knows about itself, at once.
func (n *Node) Status() Status {
	view := n.adapter.view()
	hash := view.StateHash()
	s := Status{
		NodeID: n.cfg.NodeID, HTTPAddress: n.cfg.HTTPAddress, ClusterID: n.clusterID(view), Role: Nonvoter,
		AppliedIndex: view.Index(), StateHash: hex.EncodeToString(hash[:]), StorageFull: n.full.Load(),
		SnapshotsFailed: n.snapshotsFailed.Load(), Fault: n.fault(),
		Diverged: n.compared.diverged.Load(), Compared: n.compared.comparison(),
	}
	c := n.started()
	if c == nil {
		return s
	}
	s.Leader, s.Term, s.CommitIndex = n.Leader(), c.raft.CurrentTerm(), c.raft.CommitIndex()
	if last, err := c.index.lastCommand(s.CommitIndex); err == nil && view.Index() >= last {
		s.AppliedIndex = max(s.AppliedIndex, s.CommitIndex) // what comes after the last command changes no state
	}
	s.Role = n.role(c)
	return s
}

// Leader returns the id of the node that leads, as far as this node knows; it is empty if
// none is known. It may be called at any time, by anyone, and costs next to nothing.
func (n *Node) Leader() string {
	c := n.started()
	if c == nil {
		return ""
	}
	_, leader := c.raft.LeaderWithID()
	return nodeIDOf(leader)
}

// TakesWrites reports whether nothing at this node itself keeps it from taking writes: a disk
// that nearly is full, or a state that is not that of the others. It may be called at any
// time, by anyone, and costs next to nothing.
func (n *Node) TakesWrites() bool { return !n.full.Load() && !n.compared.diverged.Load() }

// clusterID returns the cluster that this node is part of, also before it has heard enough
// of the log to have it in its state.
func (n *Node) clusterID(view fsm.View) string {
	id, _ := n.founding.state()
	return cmp.Or(view.Cluster().ClusterID, id.ClusterID)
}

func (n *Node) role(c *consensus) Role {
	state := c.raft.State()
	switch {
	case state == raft.Leader: // until its own removal is committed
		return Leader
	case n.removed.Load():
		return Nonvoter // whatever its log says
	case state == raft.Candidate:
		return Candidate
	}
	for _, s := range c.raft.GetConfiguration().Configuration().Servers {
		if s.ID == c.index.id && s.Suffrage == raft.Voter {
			return Follower
		}
	}
	return Nonvoter
}

// membersTimeout bounds how long a peer may take to say how it is; silentTimeout, how long one may that
// did not answer a moment ago. It may be far away, so it is given its time again now and then.
const (
	membersTimeout = 500 * time.Millisecond
	silentTimeout  = 50 * time.Millisecond
	silentMoment   = 5 * time.Second
)

// Members returns the nodes of the cluster with what each says of itself. It asks the
// peers, all at once, and waits half a second at most, for one that hangs not every time.
func (n *Node) Members(ctx context.Context) []Member {
	c := n.started()
	if c == nil {
		return n.founders()
	}
	servers := c.raft.GetConfiguration().Configuration().Servers
	members := make([]Member, len(servers))
	var group sync.WaitGroup
	for i, s := range servers {
		members[i] = Member{ID: nodeIDOf(s.ID), RaftAddress: string(s.Address), Voter: s.Suffrage == raft.Voter}
		if s.ID == c.index.id {
			status := n.Status()
			members[i].Status = &status
			members[i].Voter = members[i].Voter && !n.removed.Load()
			continue
		}
		group.Go(func() { members[i].Status = n.statusOf(ctx, s) })
	}
	group.Wait()
	return members
}

// statusOf asks a peer how it is; nil if it does not say.
func (n *Node) statusOf(ctx context.Context, s raft.Server) *Status {
	patience := membersTimeout
	if since, ok := n.silent.Load(s.ID); ok && time.Since(since.(time.Time)) < silentMoment {
		patience = silentTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := call[statusReply](ctx, n.calls, string(s.Address), methodStatus, statusCall{})
	if err != nil {
		if patience == membersTimeout {
			n.silent.Store(s.ID, time.Now())
		}
		return nil
	}
	n.silent.Delete(s.ID)
	if reply.ID != s.ID {
		return nil
	}
	return &reply.Status
}

// founders are the members as configured, of a node that has not joined them yet.
func (n *Node) founders() []Member {
	var members []Member
	for _, p := range n.cfg.Peers {
		m := Member{ID: p.ID, RaftAddress: p.Address, Voter: true}
		if p.ID == n.cfg.NodeID {
			status := n.Status()
			m.Status, m.Voter = &status, false
		}
		members = append(members, m)
	}
	return members
}

// memberAt returns the raft server that the configuration has at an address.
func (n *Node) memberAt(address raft.ServerAddress) (raft.ServerID, error) {
	c := n.started()
	if c == nil {
		return "", errNotLeader
	}
	for _, s := range c.raft.GetConfiguration().Configuration().Servers {
		if s.Address == address {
			return s.ID, nil
		}
	}
	return "", fmt.Errorf("no member has the address %s", address)
}

// maxLag is how many log entries a ready node may be behind the commit index.
const maxLag = 64

// Ready returns what a node needs to serve requests, each with whether it has it.
func (n *Node) Ready() []Check {
	c := n.started()
	if c == nil {
		return []Check{{"member", false, n.unfit()}}
	}
	view := n.adapter.view()
	leader := nodeIDOf(c.leader.get().id)
	checks := []Check{
		{"running", !n.draining.Load(), "the node is shutting down"},
		{"member", !n.removed.Load() && isMember(c.raft.GetConfiguration().Configuration().Servers, c.index.id), "the node is not in the cluster's configuration"},
		{"leader", leader != "", "no leader is known"},
		{"founded", view.Founded(), n.unfounded()},
		{"reads", n.heard.Load(), "no read index round has been completed since the start"},
		n.caughtUp(c, view),
		{"storage", true, ""},
		{"settings", true, ""},
		{"registry-file", true, ""},
	}
	if reason := n.unfit(); reason != "" {
		checks[7] = Check{"settings", false, reason}
	}
	if reason := n.unseeded(); reason != "" {
		checks[8] = Check{"registry-file", false, reason}
	}
	if reason := n.unstored(); reason != "" {
		checks[6] = Check{"storage", false, reason}
	}
	for i := range checks {
		if checks[i].OK {
			checks[i].Detail = ""
		}
	}
	return checks
}

// unfounded says why this node has no state.
func (n *Node) unfounded() string {
	if id, _ := n.founding.state(); id.ClusterID != "" {
		return "this node has not learned from a leader yet how much of its log is committed"
	}
	return "the cluster has not been founded yet"
}

func (n *Node) caughtUp(c *consensus, view fsm.View) Check {
	index, err := c.index.index()
	if err != nil {
		return Check{"applied", false, err.Error()}
	}
	lag := uint64(0)
	if index > view.Index() {
		lag = index - view.Index()
	}
	return Check{"applied", lag <= maxLag, fmt.Sprintf("the node is %d entries behind the commit index", lag)}
}
