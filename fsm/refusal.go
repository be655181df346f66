package fsm

import (
	"fmt"
	"slices"
	"strconv"
)

// Code names why the machine refused a command. The words are those of the API.
type Code string

// The codes of refusals.
const (
	CodeInvalidRequest   Code = "INVALID_REQUEST"        // the command's shape is wrong
	CodeRegistryNotFound Code = "REGISTRY_NOT_FOUND"     // no registry of that id
	CodeEntityNotFound   Code = "ENTITY_NOT_FOUND"       // no entity of that id, or none at all
	CodeVersionConflict  Code = "VERSION_CONFLICT"       // the version is not the expected one
	CodeEntityExists     Code = "ENTITY_EXISTS"          // a create-only put of what exists
	CodeHasChildren      Code = "HAS_CHILDREN"           // a delete of a parent
	CodeRevisionMismatch Code = "REVISION_MISMATCH"      // the registry is not at the expected revision
	CodeKeyReused        Code = "IDEMPOTENCY_KEY_REUSED" // the key was used for another request
	CodeRegistryInvalid  Code = "REGISTRY_INVALID"       // the content breaks the rules; see the findings
	CodeVersionOverflow  Code = "VERSION_OVERFLOW"       // a bump would exceed 2^63-1
	CodeTooLarge         Code = "PAYLOAD_TOO_LARGE"      // a limit of the registry or cluster is reached
	CodeTooMany          Code = "TOO_MANY_REQUESTS"      // the idempotency table is full of young keys
	CodeNotReady         Code = "NOT_READY"              // the cluster is not founded yet
)

// kept reports whether a refusal is an answer that an idempotency key remembers:
// those that a repeat could otherwise turn into another answer.
func (r *Refusal) kept() bool {
	switch r.Code {
	case CodeInvalidRequest: // of its kind the one that depends on the state
		return slices.Equal(r.Problems, versionIsRequired())
	case CodeRegistryNotFound, CodeEntityNotFound, CodeVersionConflict, CodeEntityExists, CodeHasChildren,
		CodeRevisionMismatch, CodeRegistryInvalid, CodeVersionOverflow:
		return true
	}
	return false
}

// Refusal says why a command was not carried out. It changed nothing but the
// idempotency table, and is the same on every node. It implements error. It is read only.
type Refusal struct {
	Code     Code
	Registry string
	EntityID string
	Item     int    // index of the refused request of a batch; -1 otherwise
	Expected string // what a precondition asked for: a version, a revision
	Actual   string // what it found
	Deleted  bool   // Actual is the version that the entity was deleted at
	Findings []Finding
	Problems []Problem // of CodeInvalidRequest
}

// Error returns the refusal in words.
func (r *Refusal) Error() string {
	switch r.Code {
	case CodeInvalidRequest:
		if len(r.Problems) == 0 {
			return "the command could not be read"
		}
		if p := r.Problems[0]; p.Path != "" {
			return p.Path + ": " + p.Message
		}
		return r.Problems[0].Message
	case CodeRegistryNotFound:
		return fmt.Sprintf("registry %q does not exist", r.Registry)
	case CodeEntityNotFound:
		if r.EntityID == "" {
			return fmt.Sprintf("registry %q has no entities", r.Registry)
		}
		return fmt.Sprintf("entity %q does not exist in registry %q", r.EntityID, r.Registry)
	case CodeVersionConflict:
		if r.Deleted {
			return fmt.Sprintf("entity %q was deleted at version %q: it can come back above it only, not at %q", r.EntityID, r.Actual, r.Expected)
		}
		return fmt.Sprintf("version of %q is %q, not %q", r.EntityID, r.Actual, r.Expected)
	case CodeEntityExists:
		return fmt.Sprintf("entity %q exists already, at version %q", r.EntityID, r.Actual)
	case CodeHasChildren:
		return fmt.Sprintf("entity %q is the parent of others, %q among them", r.EntityID, r.Actual)
	case CodeRevisionMismatch:
		return fmt.Sprintf("registry %q is at revision %s, not %s", r.Registry, r.Actual, r.Expected)
	case CodeKeyReused:
		return "the idempotency key was used before for a different request"
	case CodeRegistryInvalid:
		if len(r.Findings) == 0 {
			return "the registry would be invalid"
		}
		return fmt.Sprintf("the registry would be invalid: %s", r.Findings[0].Message)
	case CodeVersionOverflow:
		return fmt.Sprintf("version %q of %q cannot be raised: %v", r.Actual, r.EntityID, ErrOverflow)
	case CodeTooLarge:
		return fmt.Sprintf("the limit of %s is reached", r.Expected)
	case CodeTooMany:
		return "the table of idempotency keys is full; keys leave it after 24 hours"
	case CodeNotReady:
		return "the cluster has not been founded yet"
	}
	return string(r.Code)
}

func refuse(code Code, entityID string) *Refusal {
	return &Refusal{Code: code, EntityID: entityID, Item: -1}
}

func refuseVersion(id, expected, actual string) *Refusal {
	return &Refusal{Code: CodeVersionConflict, EntityID: id, Item: -1, Expected: expected, Actual: actual}
}

func refuseRevision(expected, actual uint64) *Refusal {
	return &Refusal{Code: CodeRevisionMismatch, Item: -1,
		Expected: strconv.FormatUint(expected, 10), Actual: strconv.FormatUint(actual, 10)}
}

// versionIsRequired is what is wrong with a put that would create an entity without a version.
func versionIsRequired() []Problem {
	return []Problem{{"currentVersion", "is required to create an entity"}}
}

// slim returns what an idempotency key must remember of the refusal of c: what its repeat
// does not bring along.
func (r *Refusal) slim(c *Command) *Refusal {
	s := &Refusal{Code: r.Code, EntityID: r.EntityID, Item: r.Item, Actual: r.Actual, Deleted: r.Deleted, Findings: r.Findings}
	if s.EntityID == c.EntityID() {
		s.EntityID = ""
	}
	return s
}

// whole undoes slim: it returns the refusal of c, or of the same command again.
func (r *Refusal) whole(c *Command) *Refusal {
	w := *r
	w.Expected = c.expected(&w)
	if w.Code == CodeInvalidRequest {
		w.Problems = versionIsRequired()
	}
	return refused(c, &w).Refusal
}

// expected returns what the command asked for that a refusal says it did not find.
func (c *Command) expected(r *Refusal) string {
	switch {
	case r.Code == CodeRevisionMismatch:
		return strconv.FormatUint(*c.IfMatch, 10)
	case r.Code != CodeVersionConflict:
		return ""
	}
	switch op := c.Op.(type) {
	case Bump:
		return op.ExpectedVersion
	case Batch:
		return op.Requests[r.Item].ExpectedVersion
	case Put:
		return op.Entity.CurrentVersion
	}
	return ""
}

// encode writes a refusal as slim leaves it. The words of findings are left out where only
// the content counts: another build may say the same differently.
func (r *Refusal) encode(e *encoder, words bool) {
	e.string(string(r.Code))
	e.string(r.EntityID)
	e.uint(uint64(r.Item + 1))
	e.string(r.Actual)
	e.bool(r.Deleted)
	e.uint(uint64(len(r.Findings)))
	for _, f := range r.Findings {
		e.string(f.Code)
		e.string(f.EntityID)
		if words {
			e.string(f.Message)
		}
	}
}

func decodeRefusal(d *decoder) *Refusal {
	r := &Refusal{Code: Code(d.string()), EntityID: d.string(), Item: int(d.uint()) - 1, Actual: d.string(), Deleted: d.bool()}
	for range d.count() {
		if d.err != nil {
			break
		}
		r.Findings = append(r.Findings, Finding{Code: d.string(), EntityID: d.string(), Message: d.string()})
	}
	return r
}
