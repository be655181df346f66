// Package cluster runs the registry on a Raft cluster. It is the only package that
// knows hashicorp/raft: it owns the node's stores and connections, founds the
// cluster, proposes commands, answers linearizable reads on every node, and applies
// the log to an [fsm.Machine].
//
// # What it promises
//
//   - A [Node.Propose] that returns a result returns it after the command is on disk
//     at a majority and applied on the leader. One that returns an error says honestly
//     what is known: [ErrUnknownOutcome] if the command may have been or may yet be
//     applied, and any other error only if it certainly was not and never will be.
//     A node repeats by itself only what is proven not applied.
//   - A [Node.Read] of mode [Linearizable] sees every command acknowledged, and every
//     state served, anywhere before it was called, also on a follower and also after
//     leaders were deposed, paused or cut off. It costs a follower of three one round
//     trip and no disk write.
//   - A node that cannot go on safely stops: [Node.Run] returns the reason. It never
//     skips an entry of the log that others apply.
//   - A node that meets a bad disk stops instead of lying: see [ErrDiskFailed]. What it
//     comes back with is what it had, as a whole.
//
// # Who owns what
//
// [Open] opens the stores and starts nothing. [Node.Run] starts every goroutine and
// returns when all of them have ended. Within it, raft's own goroutine applies
// entries through the adapter, which alone touches the machine; everyone else reads
// the immutable view that the adapter published last. One proposer takes everything
// that is queued as one log entry, so that many waiting requests cost one disk write;
// on a follower it sends the batch to the leader over the raft port.
//
// # One port
//
// The raft port carries two protocols, told apart by the first byte of a connection:
// raft's own, and the calls between nodes that forward commands, ask for read indexes,
// and found the cluster. A build that changes the form of the calls changes their byte, and
// nodes of other builds are hung up on.
package cluster
