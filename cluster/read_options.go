package cluster

import "time"

// ReadMode says how fresh a read must be.
type ReadMode int

const (
	// Linearizable sees everything acknowledged or served anywhere before the read began.
	Linearizable ReadMode = iota
	// Stale sees this node's own state, which may be behind; it needs no quorum.
	Stale
)

// ReadOptions says what state a read needs.
type ReadOptions struct {
	Mode ReadMode

	// MaxStale, with mode Stale, bounds how old the state may be; 0 for any age.
	MaxStale time.Duration

	// MinRevision is the revision of Registry that the state must have; the read waits
	// for it. 0 for any.
	Registry    string
	MinRevision uint64
}
