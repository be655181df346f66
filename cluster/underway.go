package cluster

import (
	"reflect"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// underway counts what raft owes an answer: entries, changes of the members, and requests to hand leadership over. When
// raft shuts down it forgets entries that wait for the state machine, and when its main goroutine ends, for that
// or because the disk has failed, requests that it has not come to. Whoever waits for one would wait for
// ever. So raft is shut down only when nothing is under way, or when that has taken too long; then nobody waits any more.
type underway struct {
	mu      sync.Mutex
	count   int
	closed  bool
	ended   chan struct{} // closed when nothing is under way and nothing will be
	givenUp chan struct{} // closed when nobody waits any more
}

func newUnderway() *underway {
	return &underway{ended: make(chan struct{}), givenUp: make(chan struct{})}
}

// bind has the wait for a future's answer end, with raft.ErrRaftShutdown, when that is given up. The library's futures
// have a channel for this, which it sets in some of them. It is an exported field of a type that is not, so that
// there is no other way to it; nor is there one to wait for a future and for something else.
func (u *underway) bind(future raft.Future) {
	v := reflect.ValueOf(future)
	if v.Kind() != reflect.Pointer {
		return // it has its answer
	}
	if end := v.Elem().FieldByName("ShutdownCh"); end.IsValid() && end.CanSet() && end.Type() == reflect.TypeFor[chan struct{}]() {
		end.Set(reflect.ValueOf(u.givenUp))
	}
}

// begin counts one more; it reports false after close.
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

// close lets nothing more begin and waits until nothing is under way, for limit at most; what still is then is given up.
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
	close(u.givenUp)
}
