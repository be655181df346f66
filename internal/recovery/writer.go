package recovery

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Attempt is one write.
type Attempt struct {
	Sent, Done time.Time
	OK         bool // it was acknowledged
}

// Writer writes by the clock from its start to its end. It is safe for concurrent use.
type Writer struct {
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu       sync.Mutex
	attempts []Attempt
	answered chan struct{} // closed and made anew with each attempt that is done
}

// Start starts a writer that calls write each time that every has passed, with a context that
// ends after timeout. write is called concurrently, and returns nil if what it wrote was
// acknowledged. Whoever starts the writer ends it.
func Start(every, timeout time.Duration, write func(ctx context.Context, n int) error) *Writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{cancel: cancel, answered: make(chan struct{})}
	w.group.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			w.group.Go(func() {
				own, cancel := context.WithTimeout(ctx, timeout)
				defer cancel()
				sent := time.Now()
				err := write(own, n)
				if !errors.Is(err, context.Canceled) { // else it was under way at the end
					w.note(Attempt{sent, time.Now(), err == nil})
				}
			})
		}
	})
	return w
}

// End ends the writing and waits for what is under way, which is given up.
func (w *Writer) End() {
	w.cancel()
	w.group.Wait()
}

func (w *Writer) note(a Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, a)
	close(w.answered)
	w.answered = make(chan struct{})
}

// Again waits until a write that was sent after a moment is acknowledged, and returns how long
// after that moment the first one was. It returns ctx's error if that comes first.
func (w *Writer) Again(ctx context.Context, moment time.Time) (time.Duration, error) {
	for seen := 0; ; {
		w.mu.Lock()
		answered := w.answered
		fresh := w.attempts[seen:]
		seen = len(w.attempts)
		w.mu.Unlock()
		for _, a := range fresh { // in the order in which they were done
			if a.OK && !a.Sent.Before(moment) {
				return a.Done.Sub(moment), nil
			}
		}
		select {
		case <-answered:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Pause returns the longest time between two acknowledgements, of those that came from
// one moment until another, and how many writes failed that were sent between those.
func (w *Writer) Pause(from, until time.Time) (longest time.Duration, failed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := from
	for _, a := range w.attempts {
		within := func(t time.Time) bool { return !t.Before(from) && !t.After(until) }
		if !a.OK && within(a.Sent) {
			failed++
		}
		if a.OK && within(a.Done) {
			longest, last = max(longest, a.Done.Sub(last)), a.Done
		}
	}
	return max(longest, until.Sub(last)), failed
}
