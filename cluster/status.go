package cluster

// Role is what a node is in its cluster at the moment.
type Role string

// The roles of a node.
const (
	Leader    Role = "leader"
	Follower  Role = "follower"
	Candidate Role = "candidate"
	Nonvoter  Role = "nonvoter"
)

// Status is what a node knows about itself. It is taken without asking anyone.
type Status struct {
	NodeID          string
	HTTPAddress     string
	ClusterID       string // empty until the cluster has been founded and this node has heard of it
	Role            Role
	Leader          string // node id; empty if none is known
	Term            uint64
	CommitIndex     uint64
	AppliedIndex    uint64 // up to which the log is in the state that this node serves
	StateHash       string // hex, at AppliedIndex
	StorageFull     bool   // the disk nearly is: the node takes no writes
	SnapshotsFailed uint64 // that the node could not write, since its start
	Fault           string // why the node cannot serve as it should; empty if it can
	Diverged        bool   // the node was found to have another state than the others, and stops
	Compared        Comparison
}

// Comparison is what came of comparing the state of a node with those of the voters, each
// time at one index of the log, since the node was started.
type Comparison struct {
	Checks     uint64 // comparisons that another voter answered
	Mismatches uint64 // other voters that had another state, each counted each time
	Index      uint64 // the last at which more than half of the voters had the state of this node; 0 for none
}

// Member is one node of the cluster's configuration.
type Member struct {
	ID          string
	RaftAddress string
	Voter       bool
	Status      *Status // nil if the node did not answer
}

// Check is one line of a node's readiness.
type Check struct {
	Name   string
	OK     bool
	Detail string // why not, or what was found
}
