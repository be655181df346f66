package fsm

import (
	"errors"
	"fmt"
	"iter"
)

// Errors of reading a registry's history.
var (
	ErrNoRevision = errors.New("the registry has no such revision")
	ErrCompacted  = errors.New("the revision is older than the history that is kept")
)

// View is the state at one moment. It is immutable and safe for concurrent use.
// The zero View is not usable; a [Machine] gives them out.
type View struct{ s *state }

// Index returns the index of the last log entry that the view contains.
func (v View) Index() uint64 { return v.s.index }

// Founded reports whether the cluster's first entry has been applied.
func (v View) Founded() bool { return v.s.cluster.ClusterID != "" }

// Cluster returns what the cluster was founded with. Its Key is shared: read only.
func (v View) Cluster() Genesis { return v.s.cluster }

// Stamp returns the time of the last entry, in Unix milliseconds.
func (v View) Stamp() int64 { return v.s.stamp }

// Malformed returns how many commands of the log could not be read.
func (v View) Malformed() uint64 { return v.s.malformed }

// Keys returns how many idempotency keys are remembered.
func (v View) Keys() uint64 { return v.s.keys.len() }

// StateHashFormat names what [View.StateHash] is made of. It grows when that changes, as
// the hashes in testdata then do: builds in which it differs must not compare their hashes.
const StateHashFormat = 1

// StateHash returns a hash of the content: all registries with their histories, the
// idempotency keys, and the signing key. It is equal on all nodes that applied the same
// log, however it was split, snapshotted and restored, and stays the same when a backup
// becomes a new cluster. So the cluster's id and the clocks are not in it by themselves;
// they are in all that was stamped with them.
func (v View) StateHash() Hash {
	s := v.s
	d := newDigest("tesd state").string(s.cluster.RegistryID).string(s.cluster.KeyID).bytes(s.cluster.Key).
		uint(s.cluster.HistoryKeep).uint(s.malformed).uint(s.keys.head)
	for _, word := range s.sum {
		d = d.uint(word)
	}
	return d.sum()
}

// Registry returns the registry of that id.
func (v View) Registry(id string) (Registry, bool) {
	r, ok := v.s.registries.Get(id)
	return Registry{v.s, r}, ok
}

// Registries iterates over all registries in the order of their ids.
func (v View) Registries() iter.Seq[Registry] {
	return func(yield func(Registry) bool) {
		v.s.registries.Scan(func(_ string, r *registry) bool { return yield(Registry{v.s, r}) })
	}
}

// Plan works out what a [Bump] or [Batch] would do to this state, or the refusal
// that it would meet. It neither reads nor keeps an idempotency key.
func (v View) Plan(c Command) (Plan, *Refusal) {
	plan, refusal := v.s.plan(&c)
	if refusal != nil {
		refusal = refused(&c, refusal).Refusal
	}
	return plan, refusal
}

func (s *state) plan(c *Command) (Plan, *Refusal) {
	if s.cluster.ClusterID == "" {
		return Plan{}, refuse(CodeNotReady, "")
	}
	if problems := c.Check(); problems != nil {
		return Plan{}, &Refusal{Code: CodeInvalidRequest, Item: -1, Problems: problems}
	}
	r, refusal := s.lookup(c)
	if refusal != nil {
		return Plan{}, refusal
	}
	var plan moves
	switch op := c.Op.(type) {
	case Bump:
		refusal = r.planBumps(&plan, []Bump{op}, false)
	case Batch:
		refusal = r.planBumps(&plan, op.Requests, true)
	default:
		panic(fmt.Sprintf("fsm: no plan for %T", c.Op))
	}
	if refusal != nil {
		return Plan{}, refusal
	}
	return plan.Plan, nil
}

// Registry is one registry of a [View]. It is immutable and safe for concurrent use.
type Registry struct {
	s *state
	r *registry
}

// ID returns the registry's id.
func (r Registry) ID() string { return r.r.id }

// Revision returns the number of the last transaction; 0 before the first.
func (r Registry) Revision() uint64 { return r.r.revision }

// OldestRevision returns the oldest transaction that the history keeps; 1 before the first.
func (r Registry) OldestRevision() uint64 { return r.r.oldest }

// LastTimestamp returns the time of the last transaction in Unix milliseconds; 0
// before the first.
func (r Registry) LastTimestamp() int64 { return r.r.stamp }

// LastHash returns the hash of the last transaction: the end of the chain.
func (r Registry) LastHash() Hash { return r.r.head }

// Len returns the number of entities.
func (r Registry) Len() int { return r.r.entities }

// Entity returns the entity of that id.
func (r Registry) Entity(id string) (Entity, bool) {
	if s := r.r.live(id); s != nil {
		return s.entity(), true
	}
	return Entity{}, false
}

// Entities iterates over the entities whose id is above after, in the order of their
// ids. An empty after stands for all.
func (r Registry) Entities(after string) iter.Seq[Entity] {
	return func(yield func(Entity) bool) {
		r.r.slots.Ascend(after, func(id string, s *slot) bool {
			return s.gone || id == after || yield(s.entity())
		})
	}
}

// Transaction returns one transaction. It returns [ErrNoRevision] for a revision
// that does not exist and [ErrCompacted] for one that is no longer kept.
func (r Registry) Transaction(revision uint64) (Transaction, error) {
	return r.r.transaction(r.chain(), revision)
}

func (r *registry) transaction(c chain, revision uint64) (Transaction, error) {
	if revision == 0 || revision > r.revision {
		return Transaction{}, ErrNoRevision
	}
	if revision < r.oldest {
		return Transaction{}, ErrCompacted
	}
	for t, err := range r.history.from(revision, c) {
		return t, err
	}
	return Transaction{}, ErrNoRevision
}

// History iterates over the kept transactions above a revision, oldest first.
func (r Registry) History(after uint64) iter.Seq2[Transaction, error] {
	return r.r.history.from(max(min(after, r.r.revision)+1, r.r.oldest), r.chain())
}

// EntityHistory iterates over the kept transactions above a revision that moved the
// entity, oldest first. It reads an index, not the whole history; the entity may have
// been deleted since.
func (r Registry) EntityHistory(id string, after uint64) iter.Seq2[Transaction, error] {
	return r.r.history.pick(r.EntityRevisions(id, after), r.chain())
}

// EntityRevisions iterates over the kept revisions above the given one whose
// transactions moved the entity, oldest first.
func (r Registry) EntityRevisions(id string, after uint64) iter.Seq[uint64] {
	s, ok := r.r.slots.Get(id)
	if !ok {
		return func(func(uint64) bool) {}
	}
	return s.revs.after(max(after, r.r.oldest-1))
}

func (r Registry) chain() chain { return r.r.chain(r.s.cluster.ClusterID) }
