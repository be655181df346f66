package cluster

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// transport is raft's, with three things mended that would have replicas differ at one applied index.
//
// It has no shortcut that runs the heartbeat handler on the connection's goroutine. With the shortcut
// the term can go back (hashicorp/raft issues 695 and 701); without it heartbeats wait behind disk
// writes, which the lease allows for.
//
// Entries and snapshots are of the leader's own term: see leads. And no append says that more is committed
// than it vouches for: see vouched.
//
// Beside that, a follower that comes back does not wait for the leader to try again: see reach.
type transport struct {
	*raft.NetworkTransport
	port   *port
	insist time.Duration             // how long a follower that is down is called again
	sender atomic.Pointer[raft.Raft] // nil until raft has started: it sends nothing before
}

const (
	insistence  = time.Minute
	insistEvery = 100 * time.Millisecond
)

// SetHeartbeatHandler does nothing: heartbeats go through raft's main loop.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntries sends entries to a follower, and waits for its answer. If it was down, it tries once more when
// the follower can be reached.
func (t *transport) AppendEntries(id raft.ServerID, at raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	send := func() error {
		if err := t.leads(args.Term); err != nil {
			return err
		}
		return t.NetworkTransport.AppendEntries(id, at, vouched(args), resp)
	}
	err := send()
	heartbeat := args.PrevLogEntry == 0 && len(args.Entries) == 0 // of which each is as good as the next
	if err == nil || heartbeat {
		return err
	}
	if waited, failure := t.reach(args.Term, id, at); failure != nil || !waited {
		return err
	}
	return send()
}

// errBack has the library look again what a follower needs that could not be reached for a while.
var errBack = errors.New("the follower has come back") // immutable

// InstallSnapshot sends a snapshot to a follower, and waits for its answer. If it was down, that is not the
// snapshot to send any more.
func (t *transport) InstallSnapshot(id raft.ServerID, at raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if waited, err := t.reach(args.Term, id, at); err != nil {
		return err
	} else if waited {
		return errBack
	}
	if err := t.leads(args.Term); err != nil { // to connect may take a while
		return err
	}
	return t.NetworkTransport.InstallSnapshot(id, at, args, resp, data)
}

// reach waits until a follower can be connected to, for as long as insist says, and as this node leads and has
// it for a member at that address. The library would call one that is down ever more seldom, every 10 s in
// the end, and one that comes back would wait for that.
func (t *transport) reach(term uint64, id raft.ServerID, at raft.ServerAddress) (waited bool, err error) {
	for end := time.Now().Add(t.insist); ; waited = true {
		if err := t.leads(term); err != nil {
			return waited, err
		}
		if member, err := t.port.expected(at); err != nil || member != id {
			return waited, fmt.Errorf("%s is not the address of %s any more", at, id)
		}
		conn, err := t.port.Dial(at, probeTimeout)
		if err == nil {
			return waited, conn.Close()
		}
		if time.Now().After(end) {
			return waited, err
		}
		select {
		case <-time.After(insistEvery):
		case <-t.port.life.Done():
			return waited, err
		}
	}
}

// AppendEntriesPipeline returns a way to send entries to a follower without waiting for each answer.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, at raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, at)
	return pipeline{p, t}, err
}

// pipeline is raft's, with the same restraint.
type pipeline struct {
	raft.AppendPipeline
	transport *transport
}

// AppendEntries sends entries to a follower.
func (p pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if err := p.transport.leads(args.Term); err != nil {
		return nil, err
	}
	return p.AppendPipeline.AppendEntries(vouched(args), resp)
}

// leads refuses what was made in the name of a term that is over for this node. The library's
// goroutine that sends to a follower may outlive the term of its leader by seconds, as it waits to try
// again, and read then what the next leader has put into the log: in part, if it reads while the
// log is being changed. A follower that has not heard of the next term takes that for the log of the leader
// that it knows. A node knows of the next term before it changes what it wrote in the last one, so what
// was read while the term is the same is what the leader of that term had.
func (t *transport) leads(term uint64) error {
	r := t.sender.Load()
	if r == nil || r.State() != raft.Leader || r.CurrentTerm() != term {
		return fmt.Errorf("the node does not lead in term %d any more", term)
	}
	return nil
}

// vouched has an append say no more to be committed than it shows to be the same in both logs: the
// entry before its own, and these. That is rule 5 of AppendEntries in figure 2 of the Raft paper, which
// says min(leaderCommit, index of last new entry). The library's follower takes its own last entry
// instead. If that is one that a former leader left there, and the append ends before it, the follower
// applies what was never committed. An append ends too early when its leader has looked for the last entry
// some time before it looks for the commit index: while it waits to try again, for as long as it takes.
func vouched(args *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	args.LeaderCommitIndex = min(args.LeaderCommitIndex, args.PrevLogEntry+uint64(len(args.Entries)))
	return args
}
