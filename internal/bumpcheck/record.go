// Package bumpcheck holds what clients were told of their bumps, puts and reads against the
// history of a registry.
//
// Like watchcheck, whose history it takes, it knows nothing of the server or the client. What
// goes in is the [Record] of what each client asked for and was told, and the [History] as it
// turned out in the end; what comes out is a [Violation] for each place where one of the
// promised properties does not hold:
//
//   - [Kept]: what was acknowledged is in the history, at that revision and as it was told.
//   - [Once]: no request is in the history twice, and each answer to a repeat is the first one.
//   - [Unapplied]: what was refused, or failed as not applied, is not in the history.
//   - [Sequential]: each transaction is what a naive model makes of its request in the state
//     before it: the whole cascade, from each entity's own version, so that no version is left
//     out or given twice; and somebody asked for it.
//   - [Conditional]: If-Match and expected versions hold where a request was carried out, and
//     do not where it was refused for them.
//   - [Ordered]: the revisions, which order everything, agree with the order in time of all
//     writes and linearizable reads: what began after another was over is not before it.
//   - [Served]: a read shows the registry as it was at one revision, and one that is not below
//     what it asked for.
//   - [Linearizable]: what clients saw of each entity, without its revisions, can have come
//     from one register (by porcupine).
//   - [Signed]: signatures are those of the history's receipts.
//
// Ordered with Served and Sequential says more than Linearizable: the whole registry is strictly
// serializable in the order of its revisions. The last is there because others wrote it.
//
// A write whose outcome nobody was told may be in the history or not. If it is, it was carried
// out at some time after its call.
package bumpcheck

import (
	"fmt"

	"github.com/tesd/tesd/internal/watchcheck"
)

// Property is one thing that is promised to those who write and read.
type Property string

// The properties; see the package comment.
const (
	Kept         Property = "kept"
	Once         Property = "once"
	Unapplied    Property = "unapplied"
	Sequential   Property = "sequential"
	Conditional  Property = "conditional"
	Ordered      Property = "ordered"
	Served       Property = "served"
	Linearizable Property = "linearizable"
	Signed       Property = "signed"
)

// Violation is a place where a property does not hold.
type Violation struct {
	Property Property
	Who      string // the request or the reading client
	Node     string // "" if it is about none
	Revision uint64 // 0 if it is about none
	Reason   string
}

// Error says which property is broken, for whom, and where.
func (v *Violation) Error() string {
	return fmt.Sprintf("%s: %s at %q, revision %d: %s", v.Property, v.Who, v.Node, v.Revision, v.Reason)
}

// Outcome is what a client knows of a write in the end.
type Outcome uint8

// The outcomes of a write.
const (
	Unknown      Outcome = iota // it may have been carried out, or may be yet
	Acknowledged                // it was, or there was nothing to do; Answers says how
	Refused                     // it was not, by decision of the registry; Refusal says why
	NotApplied                  // it was not, and will not be
)

// Bump is one bump of a request. Scope is 1 for major, 2 for minor, 3 for patch.
type Bump struct {
	Scope    uint8
	Entity   string
	Cascade  bool
	Expected string // version; "" for any
}

// Entity is one entity as a put gives it.
type Entity struct {
	ID      string
	Version string // "" keeps the one that is there
	Name    string
	Parent  string
	Linked  bool // moves with its parent
}

// Request is what a client wants to have written: one of Bumps, Put and Delete.
type Request struct {
	Name    string  // its own; the history has it, too
	IfMatch *uint64 // the revision that the registry must be at
	Bumps   []Bump
	Put     *Entity
	Delete  string
}

// Answer is an acknowledgement.
type Answer struct {
	Node          string
	Revision      uint64
	TransactionID string // "" if nothing had to be changed
	Changes       []watchcheck.Change
	Signature     string // "" if it was not asked for
}

// Refusal is why the registry refused a write.
type Refusal struct {
	Code   string
	Entity string
	Actual string // the revision or version that was found
}

// Write is one request, with all its repeats. Call and Return are times of a clock that counts
// up with each call and each return of any client: when it was first sent, and when its outcome
// was known.
type Write struct {
	Client       int
	Request      Request
	Call, Return int64
	Outcome      Outcome
	Answers      []Answer // the first, and those to repeats that came later
	Refusal      Refusal
}

// Seen is an entity as a read showed it; Version is "" if it was not there.
type Seen struct{ Entity, Version, Name string }

// Read is one read that was served.
type Read struct {
	Client       int
	Node         string
	Stale        bool   // it may be from the past
	AtLeast      uint64 // the revision that it asked for
	Call, Return int64
	Revision     uint64
	Saw          []Seen
}

// Record is what clients did and were told, in any order.
type Record struct {
	Writes []Write
	Reads  []Read
	Clock  int64 // behind everything
}

// History is what really happened to a registry whose first transaction created the Seed.
type History struct {
	*watchcheck.History
	Names []string // by transaction, of the requests
	Seed  []Entity

	// Sign returns the signature of a receipt's payload. Nil to check none.
	Sign func(payload string) string
}

// most bounds the violations that are reported: one mistake breaks much.
const most = 50
