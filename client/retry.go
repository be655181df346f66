package client

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"
)

const (
	// Between rounds over the endpoints the client waits a random time below a limit that begins at
	// backoffBase and doubles with each round up to backoffLimit.
	backoffBase  = 10 * time.Millisecond
	backoffLimit = time.Second

	// An attempt gets half of the time that is left, within these bounds. A node without a leader says so
	// after 2 s: who does not wait for that learns nothing of a write.
	attemptLeast = 2500 * time.Millisecond
	attemptMost  = 30 * time.Second
)

// attemptTimeout is how long an attempt may take: half of what is left, so that a node that hangs
// leaves the others their chance. With DefaultTimeout the first attempt gets 7.5 s, less than the 10 s
// after which a server gives up. That is safe, since what the attempt left under way and the next
// attempt share their key, and it is still far above what a bump takes that is going to succeed.
func attemptTimeout(ctx context.Context) time.Duration {
	return min(max(timeLeft(ctx)/2, attemptLeast), attemptMost)
}

func timeLeft(ctx context.Context) time.Duration {
	deadline, _ := ctx.Deadline() // send has set one
	return time.Until(deadline)
}

// send makes the attempts of a call until one settles it or the time is up.
func (c *Client) send(ctx context.Context, call call) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var (
		first   = int(c.good.Load())
		unknown = false            // an attempt may have been applied, and none since has settled it
		wait    = time.Duration(0) // before the next attempt
		hold    = time.Duration(0) // the longest wait that a server asked for in this round
		failed  *Error             // the last attempt
		told    *Error             // the last one that a node answered
	)
	for n := 1; ; n++ {
		if err := pause(ctx, wait); err != nil {
			return nil, call.gaveUp(failed, err)
		}
		at := (first + n - 1) % len(c.endpoints)
		var ans *answer
		if ans, failed = c.attempt(ctx, c.endpoints[at], &call); failed == nil {
			c.good.Store(int64(at))
			return ans, nil
		}
		if failed.Outcome == OutcomeUnknown || failed.settles() {
			unknown = failed.Outcome == OutcomeUnknown
		}
		if failed.Status != 0 {
			told = failed
		}
		if unknown {
			failed.Outcome = OutcomeUnknown
		} else if told != nil && ctx.Err() != nil {
			return nil, call.gaveUp(told, ctx.Err()) // which says more than that time was up
		}
		if !failed.again || unknown && call.changes {
			if failed.Status != 0 {
				c.good.Store(int64(at))
			}
			return nil, failed
		}
		if (call.once || failed.stray) && n >= len(c.endpoints) {
			return nil, failed
		}
		if (call.key != "" || call.changes) && !unknown && told != nil && n >= len(c.endpoints) && timeLeft(ctx) < attemptLeast {
			// Another attempt might be cut off with its outcome unknown, where there is none.
			return nil, call.gaveUp(told, context.DeadlineExceeded)
		}
		wait, hold = 0, max(hold, failed.RetryAfter)
		if n%len(c.endpoints) == 0 || failed.Status == http.StatusTooManyRequests {
			wait, hold = max(backoff(n/len(c.endpoints)), hold), 0
		}
	}
}

// gaveUp is the error of a call that ended before it was settled: why, and how its last attempt failed,
// if it came to one.
func (call *call) gaveUp(failed *Error, why error) *Error {
	if failed == nil {
		return &Error{Message: why.Error(), Outcome: OutcomeNotApplied, IdempotencyKey: call.key, err: why}
	}
	failed.ended = why
	return failed
}

// settles tells whether an answer to a key also tells what became of the attempts that had the key
// before: it came from the state machine, which answers a key once and then repeats itself. What is
// refused on the way there tells nothing about them.
func (e *Error) settles() bool {
	if e.Outcome != OutcomeRejected || e.Code == "" {
		return false
	}
	switch e.Status {
	case http.StatusNotFound:
		return e.Code != CodeNotFound
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// backoff is the wait after a round without success, rounds counted from 1: full jitter, since callers
// that failed together must not come back together.
func backoff(round int) time.Duration {
	limit := backoffLimit
	if doublings := max(round-1, 0); doublings < 7 { // above that it is past the limit
		limit = min(backoffBase<<doublings, backoffLimit)
	}
	return mathrand.N(limit)
}

// pause waits for d. It fails at once if the context ends before that, as nothing could follow.
func pause(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return context.DeadlineExceeded
	}
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newKey makes an idempotency key that no other write has: a random UUID.
func newKey() string {
	var u [16]byte
	rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// isKey tells whether key is 1 to 255 printable ASCII characters. Space counts as one within a key, not
// at its ends, where HTTP would drop it.
func isKey(key string) bool {
	if key == "" || len(key) > 255 || key[0] == ' ' || key[len(key)-1] == ' ' {
		return false
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
