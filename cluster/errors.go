package cluster

import (
	"errors"
	"fmt"
)

// Errors of [Open], [Node.Run], [Node.Propose], [Node.Read] and the changes of membership. All but [ErrUnknownOutcome] mean that a
// command was not applied and will not be: to try again is safe.
var (
	// ErrNoLeader says that no leader was found in the time that requests wait for one.
	ErrNoLeader = errors.New("the cluster has no leader")

	// ErrNotReady says that this node cannot serve the request now; the error that
	// wraps it says why.
	ErrNotReady = errors.New("the node is not ready")

	// ErrBusy says that too many commands are waiting already.
	ErrBusy = errors.New("too many commands are waiting")

	// ErrStorageFull says that the disk is nearly full, and the node takes no writes.
	ErrStorageFull = errors.New("the disk of the node is nearly full")

	// ErrShuttingDown says that the node is stopping and takes no more requests.
	ErrShuttingDown = errors.New("the node is shutting down")

	// ErrMembership says that the cluster's membership does not allow a change of it; the
	// error that wraps it says why.
	ErrMembership = errors.New("the membership does not allow it")

	// ErrNoNode says that there is no node of that id in the cluster.
	ErrNoNode = errors.New("there is no such node")

	// ErrDiverged says that a node's state differs from that of the others at one index of
	// the log. The node stops, and does not start again on its data directory.
	ErrDiverged = errors.New("the state of this node differs from that of the others")

	// ErrUnknownOutcome says that the command was under way when its deadline passed, its caller left
	// or the way to the leader broke: it may have been applied, or may be yet.
	ErrUnknownOutcome = errors.New("the outcome is unknown")
)

// errNotLeader says that a command was refused, unapplied, by a node that does not
// lead; whoever holds it may try the next leader.
var errNotLeader = errors.New("not the leader")

func notReady(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotReady, fmt.Sprintf(format, args...))
}

// errUnreadyLeader says that the leader has yet to commit a command in its term, or has a
// registry to import first. Its own checks of readiness say what it waits for.
func errUnreadyLeader() error { return notReady("the leader is not ready yet; its /readyz says why") }

func unknown(err error) error { return fmt.Errorf("%w: %w", ErrUnknownOutcome, err) }
