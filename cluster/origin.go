package cluster

import "context"

// Origin says in whose name [Node.Propose] is called.
type Origin struct {
	// RequestID names the request. It goes with the command to the leader, whose log tells of it too.
	RequestID string
	// Gone is closed when nobody waits for the outcome any more; nil stands for a caller who stays until the context
	// of the call ends. It is beside that context so that many calls can share one: a context of its own
	// for each, which ends with the caller and with its time, costs as much as the way to the proposer and back.
	// It is a value of the context: [context.WithoutCancel] does not take it away.
	Gone <-chan struct{}
}

// WithOrigin returns a context that tells [Node.Propose] of o.
func WithOrigin(ctx context.Context, o Origin) context.Context { return &origin{ctx, o} }

// origin is a context with an [Origin], which is its value of originKey.
type origin struct {
	context.Context
	Origin
}

type originKey struct{}

func (c *origin) Value(key any) any {
	if key == (originKey{}) {
		return &c.Origin
	}
	return c.Context.Value(key)
}

// OriginOf returns what [WithOrigin] told.
func OriginOf(ctx context.Context) Origin {
	if o, ok := ctx.Value(originKey{}).(*Origin); ok {
		return *o
	}
	return Origin{}
}
