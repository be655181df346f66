package cluster

import "github.com/hashicorp/raft"

// transport is raft's, with two things mended that would have replicas differ at one applied index.
//
// It has no shortcut that runs the heartbeat handler on the connection's goroutine. With the shortcut
// the term can go back (hashicorp/raft issues 695 and 701); without it heartbeats wait behind disk
// writes, which the lease allows for.
//
// And no append says that more is committed than it vouches for. See vouched.
type transport struct{ *raft.NetworkTransport }

// SetHeartbeatHandler does nothing: heartbeats go through raft's main loop.
func (transport) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntries sends entries to a follower, and waits for its answer.
func (t transport) AppendEntries(id raft.ServerID, at raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, at, vouched(args), resp)
}

// AppendEntriesPipeline returns a way to send entries to a follower without waiting for each answer.
func (t transport) AppendEntriesPipeline(id raft.ServerID, at raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, at)
	return pipeline{p}, err
}

// pipeline is raft's, with the same restraint.
type pipeline struct{ raft.AppendPipeline }

// AppendEntries sends entries to a follower.
func (p pipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	return p.AppendPipeline.AppendEntries(vouched(args), resp)
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
