package cluster

import (
	"context"
	"sync"

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
