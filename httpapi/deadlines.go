package httpapi

import (
	"context"
	"sync/atomic"
	"time"
)

// sharing is how long calls share a deadline: so much sooner one may end.
const sharing = 100 * time.Millisecond

// deadlines are contexts that end after requestTimeout, each of which many calls share. One for each
// read, with a timer and a place among the children of its request's, took 5 % of its processor time. A
// read whose caller has gone ends with its deadline at the latest, and needs nothing meanwhile; a write, whose
// command may still be withdrawn, is told by itself when the request's connection ends.
// The zero value is ready. It is safe for concurrent use.
type deadlines struct{ last atomic.Pointer[deadline] }

type deadline struct {
	ctx  context.Context
	made time.Time
}

// next returns the context of a call that begins now.
func (d *deadlines) next() context.Context {
	now := time.Now()
	last := d.last.Load()
	if last == nil || now.Sub(last.made) > sharing {
		ctx, cancel := context.WithDeadline(context.Background(), now.Add(requestTimeout))
		context.AfterFunc(ctx, cancel)
		last = &deadline{ctx, now}
		d.last.Store(last)
	}
	return last.ctx
}
