package cluster

import (
	"sync"
	"time"
)

// underway counts the entries whose outcome raft owes. When raft shuts down it forgets
// those that wait for the state machine, and whoever waits for one would wait for
// ever. So raft is shut down only when nothing is under way.
type underway struct {
	mu     sync.Mutex
	count  int
	closed bool
	ended  chan struct{} // closed when no entry is under way and none will be
}

func newUnderway() *underway { return &underway{ended: make(chan struct{})} }

// begin counts one more entry; it reports false after close.
func (u *underway) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.count++
	return true
}

// end undoes a begin.
func (u *underway) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count--; u.closed && u.count == 0 {
		close(u.ended)
	}
}

// close lets no more entries begin and waits until none is under way, for limit at most.
// It is called once. raft resolves everything when it commits or steps down; only one
// that hangs takes longer.
func (u *underway) close(limit time.Duration) {
	u.mu.Lock()
	if u.closed = true; u.count == 0 {
		close(u.ended)
	}
	u.mu.Unlock()
	select {
	case <-u.ended:
	case <-time.After(limit):
	}
}
