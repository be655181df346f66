package cluster

import (
	"context"
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
	done  chan struct{}
	index uint64
	err   error
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
	r.mu.Unlock()
	select {
	case <-t.done:
		return t.index, t.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run carries out rounds while ctx lasts.
func (r *rounds) run(ctx context.Context) {
	defer r.close()
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		t := r.next
		r.next = nil
		r.mu.Unlock()
		if t != nil {
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
