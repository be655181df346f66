// Package watchcheck holds what watchers were told against the history of a registry.
//
// It knows nothing of the server or the client: what goes in is the recorded [Stream] of each
// watcher and the [History] as it turned out in the end; what comes out is a [Violation] for
// each place where one of the promised properties does not hold. Each property is checked by
// itself and named, so that a broken one cannot hide behind another:
//
//   - [Ordered]: in one connection, no revision comes after a later one.
//   - [Unique]: in one connection, no revision comes twice.
//   - [Atomic]: an event is one transaction of the history, whole and as it is there.
//   - [Reliable]: no revision is left out between two that were told, or at the end.
//   - [Resumable]: a connection behind a revision begins with what follows it: nothing at or
//     below it is told again, and nothing behind it is left out.
//   - [Bookmarkable]: a bookmark comes after everything up to it, and never goes back.
//   - [Filtered]: nothing is told that a filter leaves out. That nothing is missing which it
//     admits is a matter of the properties above.
//   - [Fresh]: a watch "from now on" begins at or behind all that was acknowledged before.
//   - [TrueGap]: a gap that is told is one at that time.
//   - [Protocol]: hello comes first, once, and of the right cluster; nothing follows an end.
//
// [History.Check] proves the history itself: revisions without holes, a chain of hashes.
package watchcheck

import "fmt"

// Property is one thing that a watch promises.
type Property string

// The properties; see the package comment.
const (
	Ordered      Property = "ordered"
	Unique       Property = "unique"
	Atomic       Property = "atomic"
	Reliable     Property = "reliable"
	Resumable    Property = "resumable"
	Bookmarkable Property = "bookmarkable"
	Filtered     Property = "filtered"
	Fresh        Property = "fresh"
	TrueGap      Property = "true gap"
	Protocol     Property = "protocol"
)

// Violation is a place where a property does not hold.
type Violation struct {
	Property Property
	Watcher  string
	Node     string // that the watcher was connected to
	Step     int    // of the stream
	Revision uint64
	Reason   string
}

// Error says which property is broken, for which watcher, and where.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s: watcher %s at %s, step %d: revision %d: %s", v.Property, v.Watcher, v.Node, v.Step, v.Revision, v.Reason)
}

// Stream is what one watcher did and was told, in order.
type Stream struct {
	Watcher string
	Filter  Filter
	Steps   []Step
}

// Filter is what a watcher wants to be told of.
type Filter struct {
	Entity string // a glob of ids; "" for any
	Type   string // of the entities; "" for any
}

// Kind tells the kinds of steps apart.
type Kind int

// The kinds of steps, with the fields of [Step] that belong to each besides Kind.
const (
	Connect    Kind = iota // Node, Since or Now, Floor
	Hello                  // Revision, ClusterID
	Told                   // Event
	Bookmark               // Revision
	Gap                    // Code, Oldest, Ceiling
	Disconnect             // Reason
)

// Codes of gaps.
const (
	Compacted = "REVISION_COMPACTED"
	Ahead     = "REVISION_AHEAD"
	Changed   = "CLUSTER_CHANGED"
)

// Step is one thing that a watcher did or was told.
type Step struct {
	Kind      Kind
	Node      string
	Since     uint64
	Now       bool
	Floor     uint64 // the highest revision that anyone knew to be committed before the connect began
	Revision  uint64
	ClusterID string // "" if it is not told
	Event     *Event
	Code      string
	Oldest    uint64 // as it was told; 0 if it was not
	Ceiling   uint64 // a revision that was committed nowhere above when the gap was told
	Reason    string
}

// Event is a transaction as a watcher was told it.
type Event struct {
	Revision      uint64
	Kind          string
	TransactionID string
	Timestamp     int64
	Changes       []Change
	Payload, Hash string // "" if the watcher did not ask for receipts
}

// Change is one change of an event or a transaction. A version that is null is "".
type Change struct{ EntityID, OldVersion, NewVersion, DisplayName string }
