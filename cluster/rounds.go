package cluster

import (
	"context"
	"math"
	"sync"
)

// rounds shares the result of a round among all callers that were waiting before it
// began, with one round in flight. A caller that arrives during a round waits for
// the next: to join the running one would be to read the past.
type rounds struct {
	round func(ctx context.Context) (uint64, error)
	wake  chan struct{} // holds a token when there may be someone waiting

	mu   sync.Mutex
	next *ticket
	done bool // there will be no more rounds
}

// ticket is one round to come, or done.
type ticket struct {
	waiting int // callers so far, those included who have given up
	done    chan struct{}
	index   uint64
	err     error
}

func newRounds(round func(context.Context) (uint64, error)) *rounds {
	return &rounds{round: round, wake: make(chan struct{}, 1)}
}

// do waits for the result of a round that begins after the call. It returns
// [ErrShuttingDown] when there are no more rounds.
func (r *rounds) do(ctx context.Context) (uint64, error) {
	r.mu.Lock()
	if r.done {
		r.mu.Unlock()
		return 0, ErrShuttingDown
	}
	if r.next == nil {
		r.next = &ticket{done: make(chan struct{})}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	t := r.next
	t.waiting++
	r.mu.Unlock()
	select {
	case <-t.done:
		return t.index, t.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// waiting is how many wait for the next round.
func (r *rounds) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		return 0
	}
	return r.next.waiting
}

// run carries out rounds while ctx lasts. Before each it lets those come who are about to: a round costs the same
// for one as for all.
func (r *rounds) run(ctx context.Context) {
	defer r.close()
	last := 0 // how many the last round was for
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		yield(r.waiting, last, math.MaxInt)
		r.mu.Lock()
		t := r.next
		r.next = nil
		r.mu.Unlock()
		if t != nil {
			last = t.waiting // nobody joins it any more
			t.index, t.err = r.round(ctx)
			close(t.done)
		}
	}
}

// close tells those who wait for a round, and all who come later, that there is none.
func (r *rounds) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
	if r.next != nil {
		r.next.err = ErrShuttingDown
		close(r.next.done)
	}
}
