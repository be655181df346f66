package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// The term-quorum read index. A read that arrives at any node is answered from a view
// that holds everything acknowledged or served anywhere before it arrived.
//
// The idea: a node makes a new term durable before it grants a vote in it. If, after
// the read arrived, a majority of the voters each say that their term is at most T,
// then no leader of a higher term had been elected when it arrived; and if one of
// them leads T and has committed an entry in T, its commit index covers every write
// acknowledged before. raft's own VerifyLeader is not used: an answer that was
// under way before the read can make it confirm a leader that has been deposed.
//
// The steps, by their numbers in the comments below:
//
//  1. Reads join the next round; a round serves only those that waited before it began. It lets those
//     come first who are about to (see yield): at the leader twice, before its own round and that of step 6.
//  2. Follower F reads its term t and sends (F, t) to the leader that it knows of, which
//     is a hint: nothing rests on it.
//  3. Leader L refuses unless it leads its current term T, has applied a command of its
//     own proposed in T, and t <= T.
//  4. L samples its latest configuration now, and counts distinct voters of it: itself
//     only if it is one, F only if it is one.
//  5. A majority: go to 7. In a cluster of three, L and F are one.
//  6. Otherwise L asks the other voters for their terms, in a round of its own that
//     starts with 3 again. An answer <= T is a vote, one > T ends the round.
//  7. L answers the last command at or below its commit index.
//  8. F waits until its published view has that index and reads from that very view.
type readIndex struct {
	id    raft.ServerID
	raft  *raft.Raft
	logs  raft.LogStore
	view  func() fsm.View
	calls *caller

	ready  atomic.Uint64 // the term of this node's leadership in which it applied a command
	own    *rounds       // for reads that arrive here
	quorum *rounds       // in which this node, as leader, asks the other voters

	latest atomic.Pointer[completed] // the last of the own rounds that succeeded

	mu     sync.Mutex
	mapped struct{ commit, command uint64 } // the last answer of index
}

// completed is a round that is over: a view that has the index holds everything that
// was acknowledged before the round began.
type completed struct {
	began time.Time
	index uint64
}

// roundTimeout bounds one round.
const roundTimeout = time.Second

var (
	errNewerTerm = fmt.Errorf("%w: a voter has moved to a newer term", errNotLeader)
	errNoQuorum  = fmt.Errorf("%w: no majority of the voters answered", errNotLeader)
	errRemoved   = fmt.Errorf("%w: it is no member of the cluster", ErrNotReady)
)

func newReadIndex(id raft.ServerID, r *raft.Raft, logs raft.LogStore, view func() fsm.View, calls *caller) *readIndex {
	x := &readIndex{id: id, raft: r, logs: logs, view: view, calls: calls}
	x.own, x.quorum = newRounds(x.ownRound), newRounds(x.quorumRound)
	return x
}

// run carries out rounds while ctx lasts.
func (x *readIndex) run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { x.own.run(ctx) })
	group.Go(func() { x.quorum.run(ctx) })
	group.Wait()
}

// ownRound is one round on behalf of all the reads that were waiting when it began.
func (x *readIndex) ownRound(ctx context.Context) (uint64, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	index, err := x.ask(ctx)
	if err == nil {
		x.latest.Store(&completed{began, index})
	}
	return index, err
}

// ask asks the leader that this node knows of, which may be itself.
func (x *readIndex) ask(ctx context.Context) (uint64, error) {
	request := readIndexCall{From: x.id, Term: x.raft.CurrentTerm()} // step 2
	address, leader := x.raft.LeaderWithID()
	switch leader {
	case "":
		return 0, ErrNoLeader
	case x.id:
		return x.serve(ctx, request)
	}
	reply, err := call[readIndexReply](ctx, x.calls, string(address), methodReadIndex, request)
	if err == nil {
		err = reply.Fault.err(reply.Detail)
	}
	return reply.Index, err
}

// serve is the leader's part of a round.
func (x *readIndex) serve(ctx context.Context, call readIndexCall) (uint64, error) {
	term, err := x.leading() // step 3
	if err != nil {
		return 0, err
	}
	if call.Term > term {
		return 0, errNewerTerm
	}
	b := x.newBallot() // step 4
	if !b.knows(call.From) {
		return 0, errRemoved
	}
	b.add(x.id)
	b.add(call.From) // its term was read after its reads arrived, and is not above ours
	if b.won() {     // step 5
		return x.index()
	}
	return x.quorum.do(ctx)
}

// quorumRound asks the other voters for their terms (step 6).
func (x *readIndex) quorumRound(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	term, err := x.leading()
	if err != nil {
		return 0, err
	}
	b := x.newBallot()
	b.add(x.id)
	answers := make(chan termReply, len(b.members))
	asked := 0
	for _, s := range b.members {
		if s.Suffrage != raft.Voter || s.ID == x.id {
			continue
		}
		asked++
		go func() { // ends with ctx, which ends with this round
			a, err := call[termReply](ctx, x.calls, string(s.Address), methodTerm, termCall{})
			if err != nil || a.ID != s.ID {
				a = termReply{}
			}
			answers <- a
		}()
	}
	for ; !b.won(); asked-- {
		if asked == 0 {
			return 0, errNoQuorum
		}
		select {
		case a := <-answers:
			if a.Term > term {
				return 0, errNewerTerm
			}
			b.add(a.ID)
		case <-ctx.Done():
			return 0, errNoQuorum
		}
	}
	return x.index()
}

// leading returns the term that this node leads and has applied a command in.
func (x *readIndex) leading() (uint64, error) {
	state, term := x.raft.State(), x.raft.CurrentTerm()
	switch {
	case state != raft.Leader:
		return 0, errNotLeader
	case x.ready.Load() != term:
		return 0, errUnreadyLeader()
	}
	return term, nil
}

// index closes a round (step 7): the commit index, mapped to what a machine reaches.
// It returns an index that every machine reaches and that is not below the last
// command at or below the commit index: no-ops, barriers and configurations never
// reach a machine, so to wait for the bare commit index could be to wait for ever.
func (x *readIndex) index() (uint64, error) { return x.lastCommand(x.raft.CommitIndex()) }

// lastCommand maps an index that is committed to what a machine reaches.
func (x *readIndex) lastCommand(commit uint64) (uint64, error) {
	x.mu.Lock()
	known := x.mapped
	x.mu.Unlock()
	command := uint64(0)
	for i := commit; i > 0; i-- {
		if i <= known.commit {
			command = known.command // entries at or below a commit index never change
			break
		}
		var l raft.Log
		if err := x.logs.GetLog(i, &l); errors.Is(err, raft.ErrLogNotFound) {
			// Compacted: i is within this node's own snapshot, so its machine holds every
			// command up to i, and there is none in (i, commit].
			return x.view().Index(), nil
		} else if err != nil {
			return 0, err
		}
		if l.Type == raft.LogCommand {
			command = i
			break
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if commit > x.mapped.commit {
		x.mapped.commit, x.mapped.command = commit, command
	}
	return command, nil
}

// ballot counts distinct voters of one configuration, sampled inside the round.
type ballot struct {
	members []raft.Server // voters or not
	voted   []bool        // of each member
	missing int           // votes
}

func (x *readIndex) newBallot() *ballot {
	b := &ballot{members: x.raft.GetConfiguration().Configuration().Servers}
	b.voted = make([]bool, len(b.members))
	voters := 0
	for _, s := range b.members {
		if s.Suffrage == raft.Voter {
			voters++
		}
	}
	b.missing = voters/2 + 1
	return b
}

// knows reports whether a server is a member.
func (b *ballot) knows(id raft.ServerID) bool {
	return slices.ContainsFunc(b.members, func(s raft.Server) bool { return s.ID == id })
}

// add counts a vote if id is a voter.
func (b *ballot) add(id raft.ServerID) {
	for i, s := range b.members {
		if s.ID == id && s.Suffrage == raft.Voter && !b.voted[i] {
			b.voted[i] = true
			b.missing--
		}
	}
}

func (b *ballot) won() bool { return b.missing <= 0 }
