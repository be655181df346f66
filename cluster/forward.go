package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// forwardTimeout bounds how long a batch may be under way to the leader and back.
const forwardTimeout = 10 * time.Second

// forwardGrace is how long a batch is still waited for when another node leads.
const forwardGrace = 200 * time.Millisecond

// How many batches a node may have under way to the leader. What arrives there waits for the entry that is under way;
// to wait for a batch to come back would be to miss the next entry, too. Four followers together send no more
// commands than the leader's queue has room for: a batch has no more than an entry, and none follows while
// so many are under way.
const batchesUnderWay = 8

// batches are those that are at the leader or on the way. One goroutine adds to them.
type batches struct {
	back chan struct{} // holds a token when there may be room for another
	ends sync.WaitGroup
	last int // commands of the last one; of the goroutine that sends

	mu                     sync.Mutex
	count, commands, bytes int
}

func newBatches() *batches { return &batches{back: make(chan struct{}, 1)} }

// room reports whether another batch may be sent.
func (b *batches) room() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count < batchesUnderWay && b.commands < entryCommands && b.bytes < entryBytes
}

// add notes a batch that is sent, or with sign -1 one that is back.
func (b *batches) add(batch []*pending, sign int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count += sign
	b.commands += sign * len(batch)
	for _, p := range batch {
		b.bytes += sign * len(p.command)
	}
}

// send sends a batch and does not wait for it to come back.
func (b *batches) send(batch []*pending, forward func()) {
	b.last = len(batch)
	b.add(batch, 1)
	b.ends.Go(func() {
		forward()
		b.add(batch, -1)
		select {
		case b.back <- struct{}{}:
		default:
		}
	})
}

// dispatch sends what is queued to the leader once there is room for it, and does not wait for the outcomes.
func (q *proposer) dispatch(ctx context.Context, c *consensus) {
	if !q.underWay.room() {
		select {
		case <-q.underWay.back:
		case <-c.leader.get().until().Done(): // what is under way may take until the grace is over, and this node may lead
		case <-ctx.Done():
			return
		}
		q.nudge() // to look again
		return
	}
	yield(q.queued, q.underWay.last, companyMost)
	if ctx.Err() != nil || c.raft.State() == raft.Leader {
		q.nudge()
		return
	}
	if batch := q.take(); len(batch) > 0 {
		q.underWay.send(batch, func() { q.forward(ctx, c, batch) })
	}
}

// forward sends a batch to the leader and waits for the outcomes. It gives the batch
// up as unknown when the leader changes while it is under way.
func (q *proposer) forward(ctx context.Context, c *consensus, batch []*pending) {
	var own []*pending
	request := proposeCall{From: q.node.cfg.NodeID}
	for _, p := range batch {
		if p.foreign {
			p.decide(fsm.Result{}, errNotLeader)
			continue
		}
		own = append(own, p)
		request.Commands = append(request.Commands, p.command)
		request.Reach = append(request.Reach, p.reach)
		request.Requests = append(request.Requests, p.origin.RequestID)
	}
	leader := c.leader.get()
	request.To = leader.id
	if len(own) == 0 {
		return
	} else if leader.id == "" || leader.id == c.index.id {
		refuseAll(own, errNotLeader)
		return
	}
	led, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	stop := context.AfterFunc(leader.until(), func() {
		pause(led, forwardGrace) // whoever does not lead any more says so, if it can
		cancel()
	})
	defer stop()
	reply, err := call[proposeReply](led, q.node.calls, leader.address, methodPropose, request)
	switch {
	case errors.Is(err, errNotSent):
		refuseAll(own, errNotLeader)
	case err != nil && ctx.Err() != nil:
		refuseAll(own, unknown(errors.New("this node was told to stop meanwhile")))
	case errors.Is(err, context.Canceled):
		refuseAll(own, unknown(errors.New("the leader that had it does not lead any more")))
	case err != nil:
		refuseAll(own, unknown(fmt.Errorf("the way to the leader broke: %w", err)))
	case len(reply.Outcomes) != len(own):
		refuseAll(own, unknown(errors.New("the leader answered something else")))
	default:
		for i, p := range own {
			p.decide(reply.Outcomes[i].open())
		}
	}
}

// serve queues the commands that another node forwarded and waits for the outcomes.
func (q *proposer) serve(call proposeCall, reply *proposeReply) {
	reply.Outcomes = make([]forwarded, len(call.Commands))
	if q.node.started().raft.State() != raft.Leader { // they would wait behind what is forwarded from here
		for i := range reply.Outcomes {
			reply.Outcomes[i].Fault = faultNotLeader
		}
		return
	}
	queued := make([]*pending, len(call.Commands))
	for i, command := range call.Commands {
		queued[i] = &pending{command: command, reach: call.Reach[i], origin: Origin{RequestID: call.Requests[i]}, foreign: true}
	}
	taken, err := q.add(queued...)
	for _, p := range queued[taken:] {
		p.decide(fsm.Result{}, err)
	}
	for i, p := range queued {
		<-p.decided // the proposer decides everything that it took in, at the latest when it ends
		if p.err == nil {
			reply.Outcomes[i].Result = fsm.EncodeResult(make([]byte, 0, 1024), &p.result)
		} else {
			reply.Outcomes[i] = forwarded{Fault: faultOf(p.err), Detail: p.err.Error()}
			q.node.log.Warn("a forwarded command failed", "from", call.From, "requestId", p.origin.RequestID, "error", p.err)
		}
	}
	if q.node.log.IsDebug() {
		q.node.log.Debug("forwarded commands are carried out", "from", call.From, "requestIds", call.Requests)
	}
}
