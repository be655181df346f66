package cluster

import (
	"sync"
	"time"
)

// slowness warns of writes that take so long that the heartbeats behind them may come too late.
type slowness struct {
	node  *Node
	limit time.Duration

	mu    sync.Mutex
	told  time.Time // when it warned last
	count int       // slow writes since then
}

// slowEvery is how often it warns at most.
const slowEvery = time.Minute

func (n *Node) newSlowness() *slowness {
	return &slowness{node: n, limit: n.cfg.Timing.LeaderLease / 2}
}

// note takes notice of a write.
func (s *slowness) note(op operation, took time.Duration) {
	if took < s.limit {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if now := time.Now(); s.told.IsZero() || now.Sub(s.told) >= slowEvery {
		s.node.log.Warn("slow_write", "operation", op.String(), "duration", took, "lease", s.node.cfg.Timing.LeaderLease, "slowWrites", s.count,
			"advice", "a leader is deposed when writes take longer than its lease: give the node a faster disk, or all nodes a longer --election-timeout")
		s.told, s.count = now, 0
	}
}
