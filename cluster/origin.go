package cluster

import "context"

// Origin says in whose name [Node.Propose] is called.
type Origin struct {
	// RequestID names the request. It goes with the command to the leader, whose log tells of it too.
	RequestID string
	// Caller ends when nobody waits for the outcome any more. A command that has not been proposed by then never
	// is, if this is looked at before it is: it ends no wait, which is what makes it cheap, so the context of
	// Propose must have a deadline. nil stands for a caller who stays.
	Caller context.Context
}

type originKey struct{}

// WithOrigin returns a context that tells [Node.Propose] of o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

func origin(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// gone reports whether nobody waits any more.
func (o Origin) gone() bool { return o.Caller != nil && o.Caller.Err() != nil }

// errGone is told to nobody.
func errGone() error { return notReady("the caller went before the command was proposed") }
