package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// handovers is to whom leadership could not be handed in a term. Raft is asked once for each:
// if a server does not take what raft has to send it first, a second try waits for that, for
// ever if the leader is deposed meanwhile, and as long raft refuses every write, also when it
// leads again.
type handovers struct {
	mu   sync.Mutex
	term uint64
	to   map[raft.ServerID]bool
}

// fail notes that a server did not take the lead in a term.
func (h *handovers) fail(term uint64, to raft.ServerID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.term != term {
		h.term, h.to = term, make(map[raft.ServerID]bool)
	}
	h.to[to] = true
}

// failed reports whether a server, or any if to is empty, did not take the lead in a term.
func (h *handovers) failed(term uint64, to raft.ServerID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.term == term && (h.to[to] || to == "")
}

// successor returns the most advanced voter that could take the lead; "" if there is none.
func (m *membership) successor(ctx context.Context) string {
	best, applied := "", uint64(0)
	for _, member := range m.n.Members(ctx) {
		s, st := m.find(member.ID), member.Status
		if s == nil || !member.Voter || s.ID == m.c.index.id || st == nil || st.Fault != "" || m.c.handovers.failed(m.term, s.ID) {
			continue
		}
		if best == "" || st.AppliedIndex > applied {
			best, applied = member.ID, st.AppliedIndex
		}
	}
	return best
}

// fit refuses to hand leadership to a node that could not serve: it would hand it on.
func (m *membership) fit(ctx context.Context, s *raft.Server) error {
	ctx, cancel := context.WithTimeout(ctx, membersTimeout)
	defer cancel()
	reply, err := call[statusReply](ctx, m.n.calls, string(s.Address), methodStatus, statusCall{})
	switch {
	case err != nil || reply.ID != s.ID:
		return notReady("node %s does not answer", nodeIDOf(s.ID))
	case reply.Status.Fault != "":
		return membershipError("node %s cannot lead: %s", nodeIDOf(s.ID), reply.Status.Fault)
	}
	return nil
}

// transfer hands leadership to a node, to the most advanced other voter if id is empty, and waits
// until it is known to lead.
func (m *membership) transfer(ctx context.Context, id string) error {
	others := func(s raft.Server) bool { return s.Suffrage == raft.Voter && s.ID != m.c.index.id }
	if id == m.n.cfg.NodeID {
		return nil // it leads
	}
	if !slices.ContainsFunc(m.servers, others) {
		return membershipError("there is no other voter that could lead")
	}
	anyone := id == ""
	if anyone {
		id = m.successor(ctx)
	}
	to := m.find(id)
	switch {
	case id == "":
		return notReady("leadership could not be handed over: there is no node that could take it")
	case to == nil:
		return fmt.Errorf("%w: %q", ErrNoNode, id)
	case to.Suffrage != raft.Voter:
		return membershipError("node %s is no voter yet", id)
	case m.c.handovers.failed(m.term, to.ID):
		return notReady("leadership could not be handed over: node %s did not take it in this term", id)
	}
	if err := m.fit(ctx, to); err != nil {
		return err
	}
	if err := m.current(); err != nil {
		return err
	}
	begin := func() raft.Future { return m.c.raft.LeadershipTransferToServer(to.ID, to.Address) }
	switch err := m.n.await(ctx, begin); {
	case err == nil:
		return m.taken(ctx, to.ID, anyone)
	case errors.Is(err, errNotLeader):
		return err
	case errors.Is(err, ErrShuttingDown), errors.Is(err, raft.ErrRaftShutdown):
		return ErrShuttingDown
	default: // it changes nothing but who leads, so there is nothing unknown
		m.c.handovers.fail(m.term, to.ID)
		return notReady("leadership could not be handed over: %s", strings.TrimPrefix(err.Error(), ErrUnknownOutcome.Error()+": "))
	}
}

// taken waits, when this node leads no more, until the server that was to take the lead is known to lead, or anyone but
// this node. It is an error if another was elected instead, or if for as long as requests wait for a leader none is known: raft
// says the same of a leader that was deposed meanwhile as of one that handed over.
func (m *membership) taken(ctx context.Context, by raft.ServerID, anyone bool) error {
	limit := time.After(m.n.cfg.Timing.LeaderWait)
	for {
		l := m.c.leader.get()
		switch self := l.id == m.c.index.id; {
		case l.id == "", self && m.c.raft.State() != raft.Leader: // not known yet
		case self:
			return notReady("leadership could not be handed over: this node was elected again")
		case anyone, l.id == by:
			return nil
		default:
			return notReady("leadership could not be handed over: node %s was elected instead", nodeIDOf(l.id))
		}
		select {
		case <-l.until().Done():
			continue
		case <-limit:
		case <-ctx.Done():
		case <-m.n.life.Done():
		}
		return unknown(errors.New("this node leads no more, and it is not known yet who does"))
	}
}
