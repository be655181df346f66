package clienttest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/solo"
)

// Always is how many requests fail when none is to succeed any more, until [Server.Heal].
const Always = math.MaxInt

// FailNext has the next n requests that read or write a registry fail with code; none of them is applied.
// A request is one attempt: a call of a client may make several. What is refused for its form, and what a
// node answers for itself (health, the cluster, readiness), does not count, nor does a read, a dry run
// among them, if the code is [client.CodeOutcomeUnknown] or [client.CodeStorageFull].
//
// code is one of what goes wrong in a cluster: [client.CodeNoLeader], [client.CodeNotReady],
// [client.CodeShuttingDown], [client.CodeStorageFull], [client.CodeTooManyRequests],
// [client.CodeOutcomeUnknown], [client.CodeUnauthenticated], [client.CodeForbidden], and
// [client.CodeInternal], which bumps call [client.CodeBumpFailed]. The test ends with any other.
//
// Failures that are asked for one after the other come one after the other.
func (s *Server) FailNext(n int, code client.Code) {
	s.tb.Helper()
	err := failure(code)
	if err == nil {
		s.tb.Fatalf("clienttest: %s is nothing that goes wrong in a cluster; make the request or the registry such that it is the answer", code)
	}
	s.node.plan(plan{left: n, err: err, writes: code == client.CodeOutcomeUnknown || code == client.CodeStorageFull})
}

// LoseAnswers has the next n writes applied, and answered with [client.CodeOutcomeUnknown]: who sends one
// again under the same idempotency key gets its answer. It counts as FailNext does.
func (s *Server) LoseAnswers(n int) {
	s.node.plan(plan{left: n, err: failure(client.CodeOutcomeUnknown), writes: true, applied: true})
}

// Heal ends all failures.
func (s *Server) Heal() { s.node.pause() }

// failure is what a node fails with when the answer is to be code, nil if no node fails like that.
func failure(code client.Code) error {
	switch code {
	case client.CodeNoLeader:
		return cluster.ErrNoLeader
	case client.CodeNotReady:
		return fmt.Errorf("%w: the test wants it so", cluster.ErrNotReady)
	case client.CodeShuttingDown:
		return cluster.ErrShuttingDown
	case client.CodeTooManyRequests:
		return cluster.ErrBusy
	case client.CodeOutcomeUnknown:
		return cluster.ErrUnknownOutcome
	case client.CodeInternal, client.CodeBumpFailed:
		return errors.New("the test wants a defect")
	case client.CodeStorageFull:
		return cluster.ErrStorageFull
	case client.CodeUnauthenticated, client.CodeForbidden:
		return &fsm.Refusal{Code: fsm.Code(code), Item: -1} // nothing of a node, but it carries the code
	}
	return nil
}

// A plan is a number of failures that are to come.
type plan struct {
	left    int
	err     error
	writes  bool // they are of writes alone
	applied bool // the writes are applied first
}

// node is the node behind a server: one without faults, and the faults it is to show.
type node struct {
	*solo.Node

	mu    sync.Mutex
	plans []plan // in the order in which they were asked for
}

// plan adds failures to those that are to come.
func (n *node) plan(p plan) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.left > 0 {
		n.plans = append(n.plans, p)
	}
}

// pause takes the failures that are to come away, and resume puts them back.
func (n *node) pause() []plan {
	n.mu.Lock()
	defer n.mu.Unlock()
	plans := n.plans
	n.plans = nil
	return plans
}

func (n *node) resume(plans []plan) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.plans = slices.Concat(plans, n.plans)
}

// next takes the failure that a write or a read is to meet; its err is nil if there is none.
func (n *node) next(write bool) plan {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.plans, func(p plan) bool { return write || !p.writes })
	if i < 0 {
		return plan{}
	}
	met := n.plans[i]
	if n.plans[i].left--; n.plans[i].left == 0 {
		n.plans = slices.Delete(n.plans, i, i+1)
	}
	return met
}

// Propose carries out a command, unless it is to fail.
func (n *node) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	met := n.next(true)
	if met.err != nil && !met.applied {
		return fsm.Result{}, met.err
	}
	result, err := n.Node.Propose(ctx, c)
	if met.err != nil {
		return fsm.Result{}, met.err
	}
	return result, err
}

// Read returns the state, unless it is to fail.
func (n *node) Read(ctx context.Context, o cluster.ReadOptions) (fsm.View, error) {
	if met := n.next(false); met.err != nil {
		return fsm.View{}, met.err
	}
	return n.Node.Read(ctx, o)
}
