package cluster

import "context"

type requestIDKey struct{}

// WithRequestID names the request in whose name [Node.Propose] is called. The name goes
// with the command to the leader, whose log tells of it too.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
