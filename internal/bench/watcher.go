package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// A watcher receives what one node sends, checks that no revision is missing, late or there
// twice, and notes when each came.
type watcher struct {
	base  int64
	at    []int64 // when revision base+1+i came; to be read after close
	count atomic.Int64

	cancel func()        // has the reader end
	done   chan struct{} // closed when it has
	err    error         // what ended it, nil if close did; to be read after done
}

func newWatcher(base int64, room int) *watcher {
	return &watcher{base: base, at: make([]int64, 0, room), done: make(chan struct{})}
}

// receive notes that a revision came, and fails if another was due.
func (w *watcher) receive(revision, now int64) error {
	if want := w.base + int64(len(w.at)) + 1; revision != want {
		return fmt.Errorf("revision %d came when %d was due", revision, want)
	}
	w.at = append(w.at, now)
	w.count.Store(int64(len(w.at)))
	return nil
}

// run reads until read fails or the watcher is closed.
func (w *watcher) run(ctx context.Context, read func() error) {
	defer close(w.done)
	if err := read(); ctx.Err() == nil {
		w.err = err
	}
}

// closeAll ends watchers, waits for their readers and returns what went wrong, at most a few
// of the errors.
func closeAll(watchers []*watcher) error {
	var errs []error
	failed := 0
	// First those who failed by themselves: the others are ended by what follows.
	for _, w := range watchers {
		select {
		case <-w.done:
			if failed++; failed <= 3 && w.err != nil {
				errs = append(errs, w.err)
			}
		default:
		}
	}
	for _, w := range watchers {
		w.cancel()
	}
	for _, w := range watchers {
		<-w.done
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d watchers failed: %w", failed, len(watchers), errors.Join(errs...))
}

// received returns how many messages came to all watchers, and to the one with fewest.
func received(watchers []*watcher) (sum, fewest int64) {
	for i, w := range watchers {
		n := w.count.Load()
		sum += n
		if i == 0 || n < fewest {
			fewest = n
		}
	}
	return sum, fewest
}

// openAll opens watchers, many at a time, and returns all of them, or none and the first
// error.
func openAll(ctx context.Context, count int, open func(ctx context.Context, i int) (*watcher, error)) ([]*watcher, error) {
	const atOnce = 32
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	watchers := make([]*watcher, count)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= count {
					return
				}
				w, err := open(ctx, i)
				if err != nil {
					fail(err)
					return
				}
				watchers[i] = w
			}
		})
	}
	wg.Wait()
	if ctx.Err() == nil {
		return watchers, nil
	}
	opened := slices.DeleteFunc(watchers, func(w *watcher) bool { return w == nil })
	_ = closeAll(opened)
	return nil, fmt.Errorf("opening watchers (%d of %d were): %w", len(opened), count, context.Cause(ctx))
}
