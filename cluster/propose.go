package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// What one log entry takes: everything that is queued, up to these. While one entry is on its way to the
// disks the next one fills itself. A larger command travels alone.
const (
	entryCommands = 1024
	entryBytes    = 256 << 10
	entryReach    = 200_000 // entities moved, whose results are in memory together

	queueCommands = 8192 // commands that may wait
	queueBytes    = 256 << 20
)

// enqueueTimeout bounds how long raft may take to accept an entry; afterwards the
// entry is proven not to have been proposed.
const enqueueTimeout = 5 * time.Second

// proposer turns queued commands into log entries, one entry at a time. Where another node leads it
// sends them there.
type proposer struct {
	node *Node
	wake chan struct{} // holds a token when the queue may not be empty

	underWay *batches // to the leader

	mu      sync.Mutex
	queue   []*pending
	bytes   int
	done    bool    // nothing is taken in any more
	company company // of the entries that this node proposes
}

// pending is a command that waits for its outcome.
type pending struct {
	command []byte
	reach   int          // how many entities it may move
	origin  Origin       // of the request that it came with
	foreign bool         // another node forwarded it: it is not forwarded again
	taken   atomic.Int32 // one of the below
	decided chan struct{}

	result fsm.Result // once decided
	err    error
}

// Who has a pending command: nobody yet, the proposer, or its owner, who gave up.
const (
	waiting = iota
	takenUp
	withdrawn
)

func newProposer(n *Node) *proposer {
	return &proposer{node: n, wake: make(chan struct{}, 1), underWay: newBatches()}
}

func (p *pending) decide(result fsm.Result, err error) {
	p.result, p.err = result, err
	close(p.decided)
}

// add queues commands and returns how many there was room for; err says what becomes of the others.
func (q *proposer) add(commands ...*pending) (queued int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.queue)
	for _, p := range commands {
		p.decided = make(chan struct{})
	}
	for _, p := range commands {
		switch {
		case q.done:
			err = ErrShuttingDown
		case q.node.full.Load():
			err = ErrStorageFull
		case len(q.queue) >= queueCommands || len(q.queue) > 0 && q.bytes+len(p.command) > queueBytes:
			err = ErrBusy
		}
		if err != nil {
			break
		}
		q.queue = append(q.queue, p)
		q.bytes += len(p.command)
		queued++
	}
	if now := len(q.queue); before == 0 && now > 0 || before < q.company.want && now >= q.company.want {
		q.nudge()
	}
	return queued, err
}

func (q *proposer) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// queued is how many wait to be taken.
func (q *proposer) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue)
}

// take takes what one entry may hold off the queue, leaving out what was withdrawn.
func (q *proposer) take() []*pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	var batch []*pending
	size, reach, n := 0, 0, 0
	for _, p := range q.queue {
		if len(batch) == entryCommands || len(batch) > 0 && (size+len(p.command) > entryBytes || reach+p.reach > entryReach) {
			q.nudge()
			break
		}
		n++
		q.bytes -= len(p.command)
		if p.taken.CompareAndSwap(waiting, takenUp) {
			batch = append(batch, p)
			size += len(p.command)
			reach += p.reach
		}
	}
	clear(q.queue[:n])
	if q.queue = q.queue[n:]; len(q.queue) == 0 {
		q.queue = nil
	}
	return batch
}

// close takes no more commands in and refuses those that still wait.
func (q *proposer) close() {
	q.mu.Lock()
	q.done = true
	q.mu.Unlock()
	for batch := q.take(); len(batch) > 0; batch = q.take() {
		refuseAll(batch, ErrShuttingDown)
	}
}

func refuseAll(batch []*pending, err error) {
	for _, p := range batch {
		p.decide(fsm.Result{}, err)
	}
}

// run proposes what is queued while ctx lasts.
func (q *proposer) run(ctx context.Context) {
	defer q.close()
	defer q.underWay.ends.Wait()
	for {
		select {
		case <-q.wake:
		case <-ctx.Done():
			return
		}
		c := q.node.started()
		if c.raft.State() != raft.Leader {
			q.dispatch(ctx, c)
			continue
		}
		if q.gather(ctx); ctx.Err() != nil || c.raft.State() != raft.Leader {
			q.nudge() // to look again
			continue
		}
		if batch := q.take(); len(batch) > 0 {
			if c.index.ready.Load() != c.raft.CurrentTerm() {
				// It may have a registry to import first, or a restored cluster to complete.
				refuseAll(batch, errUnreadyLeader())
				continue
			}
			q.commit(ctx, c.raft, batch)
		}
	}
}

// commit proposes a batch as one log entry and waits until it is applied here.
func (q *proposer) commit(ctx context.Context, r *raft.Raft, batch []*pending) {
	commands := make([][]byte, len(batch))
	for i, p := range batch {
		commands[i] = p.command
	}
	began := time.Now()
	response, err := q.node.apply(ctx, r, commands)
	if err != nil {
		refuseAll(batch, err)
		return
	}
	if len(response) != len(batch) {
		refuseAll(batch, unknown(errors.New("the state machine answered something else")))
		return
	}
	q.answered(len(batch), time.Since(began))
	for i, p := range batch {
		p.decide(response[i], nil)
	}
}

// apply has raft commit one entry and returns the machine's answers.
func (n *Node) apply(ctx context.Context, r *raft.Raft, commands [][]byte) ([]fsm.Result, error) {
	stamp := max(n.cfg.Clock().UnixMilli(), n.adapter.view().Stamp())
	entry, err := fsm.JoinEntry(stamp, commands)
	if err != nil {
		return nil, notReady("%v", err)
	}
	var future raft.ApplyFuture
	if err := n.await(ctx, func() raft.Future {
		future = r.Apply(entry, enqueueTimeout)
		return future
	}); err != nil {
		return nil, err
	}
	results, ok := future.Response().([]fsm.Result)
	if !ok {
		return nil, unknown(errors.New("this node cannot read the log and stops"))
	}
	return results, nil
}

// await has raft begin to change the log, and waits until that is done. The error says
// what became of it.
func (n *Node) await(ctx context.Context, begin func() raft.Future) error {
	if !n.entries.begin() {
		return ErrShuttingDown
	}
	future := begin()
	n.entries.bind(future)
	done := make(chan error, 1)
	go func() { // raft resolves it before it is shut down, or nobody does
		defer n.entries.end()
		done <- future.Error()
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		return unknown(ctx.Err())
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress),
		errors.Is(err, raft.ErrEnqueueTimeout), errors.Is(err, raft.ErrAbortedByRestore):
		return errNotLeader
	}
	if errors.Is(err, raft.ErrLeadershipLost) {
		err = errors.New("the node stopped leading before it knew the entry to be at a majority")
	}
	return unknown(err) // or a store's error, or a shutdown: the entry may be on disks
}

// Propose has the cluster carry out a command and returns the machine's answer, which
// may be a refusal. It may be called on any node and concurrently. It repeats by
// itself what is proven not applied, for as long as requests wait for a leader. The
// errors are those of this package. When ctx ends or [Origin.Gone] is closed, a command that is still queued is
// withdrawn, which is [ErrNotReady]; one that is under way has an outcome that is unknown, which is [ErrUnknownOutcome].
func (n *Node) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	command, reach := fsm.EncodeCommand(nil, c), n.adapter.view().Reach(c)
	patience, origin := n.patience(), OriginOf(ctx)
	for {
		if reason := n.unfit(); reason != "" {
			return fsm.Result{}, notReady("%s", reason)
		}
		var result fsm.Result
		err := n.unacquainted() // it could not sign the answer
		if err == nil {
			result, err = n.attempt(ctx, &pending{command: command, reach: reach, origin: origin})
		}
		if err == nil && result.Refusal != nil && result.Refusal.Code == fsm.CodeNotReady {
			err = notReady("%v", result.Refusal)
		}
		if err == nil || !n.elsewhere(err) {
			return result, err
		}
		if err := patience.wait(ctx, origin.Gone, err); err != nil {
			return fsm.Result{}, err
		}
	}
}

// elsewhere reports whether a command that failed may succeed in a moment, at another
// leader or at this one.
func (n *Node) elsewhere(err error) bool {
	return errors.Is(err, errNotLeader) || errors.Is(err, ErrNotReady) || errors.Is(err, ErrStorageFull) && !n.full.Load()
}

// attempt proposes a command once.
func (n *Node) attempt(ctx context.Context, p *pending) (fsm.Result, error) {
	if _, err := n.proposer.add(p); err != nil {
		return fsm.Result{}, err
	}
	var end error
	select {
	case <-p.decided:
		return p.result, p.err
	case <-ctx.Done():
		end = ended(ctx)
	case <-p.origin.Gone:
		end = errGone
	}
	if p.taken.CompareAndSwap(waiting, withdrawn) {
		return fsm.Result{}, notReady("%v before the command was proposed", end)
	}
	select {
	case <-p.decided: // at the same time
		return p.result, p.err
	default:
		return fsm.Result{}, unknown(end)
	}
}

// What ends the wait for an outcome.
var (
	errGone = errors.New("the caller left")
	errLate = errors.New("the deadline passed")
)

// ended says what ended a call's context.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errLate
	}
	return errGone
}

// patience bounds how long a request goes on looking for a leader that takes it.
type patience struct{ end time.Time }

func (n *Node) patience() patience { return patience{time.Now().Add(n.cfg.Timing.LeaderWait)} }

// wait waits a moment before the next try, or returns the error to fail with. gone ends the wait as ctx does.
func (p patience) wait(ctx context.Context, gone <-chan struct{}, cause error) error {
	left := time.Until(p.end)
	if left <= 0 {
		if errors.Is(cause, ErrNotReady) || errors.Is(cause, ErrStorageFull) {
			return cause
		}
		return ErrNoLeader
	}
	select {
	case <-time.After(min(5*time.Millisecond+rand.N(20*time.Millisecond), left)):
		return nil
	case <-ctx.Done():
		return notReady("%v before a leader took the request: %v", ended(ctx), cause)
	case <-gone:
		return notReady("%v before a leader took the request: %v", errGone, cause)
	}
}
