package fsm

import (
	"slices"
	"strings"

	"github.com/tidwall/btree"
)

// registry is the state of one registry. A published one is immutable: the writer
// works on a copy that shares the trees' nodes and the history's blocks.
type registry struct {
	id       string
	ordinal  uint32 // its place in the order of creation, for references to it
	epoch    uint64 // the writer may change it in place while this is the machine's
	revision uint64
	head     Hash   // of the last transaction
	stamp    int64  // of the last transaction, Unix milliseconds
	oldest   uint64 // the oldest revision that the history keeps
	entities int

	slots    *btree.Map[string, *slot]    // by entity id
	children *btree.Map[string, struct{}] // all of them, by childKey
	linked   *btree.Map[string, struct{}] // those that are linked to their parent, by childKey
	history  history
	eras     []era // oldest first; none unless the cluster came from a backup
	keys     heldKeys
	sum      Hash // the registry's own part of the state hash, without the slots
	stale    bool // sum is out of date; never while no entry is being applied
}

// heldKeys counts the living idempotency keys that refer to a registry's
// transactions: the history must keep what they refer to.
type heldKeys struct {
	living uint64
	floor  uint64 // all living keys refer to revisions above this
}

// slot is what a registry knows under an entity id. It is immutable. A deleted entity
// leaves its slot behind: for its last version, which the id may not come back to, for the
// index of its history, and for the answers under idempotency keys that speak of it.
type slot struct {
	def     *Entity // without CurrentVersion
	gone    bool    // it was deleted
	digest  Hash    // of def
	version string
	revs    revList
	sum     Hash // the slot's part of the state hash
}

func (s *slot) entity() Entity {
	e := *s.def
	e.CurrentVersion = s.version
	return e
}

func newSlot(registryID string, e *Entity, revs revList) *slot {
	def := *e
	def.CurrentVersion = ""
	digest := newDigest("tesd entity").bytes(def.appendJSON(nil, false)).sum()
	s := &slot{def: &def, digest: digest, version: e.CurrentVersion, revs: revs}
	s.sum = s.hash(registryID)
	return s
}

// withVersion returns the slot moved to another version.
func (s *slot) withVersion(registryID, version string) *slot {
	next := *s
	next.version = version
	next.sum = next.hash(registryID)
	return &next
}

// deleted returns the slot of the entity once it is deleted. It keeps what is small: ids
// may come and go for ever.
func (s *slot) deleted(registryID string) *slot {
	def := *s.def
	def.Files, def.Description = nil, ""
	def.CurrentVersion = s.version
	next := newSlot(registryID, &def, s.revs)
	next.gone = true
	next.sum = next.hash(registryID)
	return next
}

func (s *slot) hash(registryID string) Hash {
	return newDigest("tesd slot").string(registryID).string(s.def.ID).bool(s.gone).bytes(s.digest[:]).string(s.version).sum()
}

func newRegistry(id string, ordinal uint32) *registry {
	r := &registry{
		id: id, ordinal: ordinal, oldest: 1,
		slots:    btree.NewMap[string, *slot](0),
		children: btree.NewMap[string, struct{}](0),
		linked:   btree.NewMap[string, struct{}](0),
	}
	r.sum = r.hash()
	return r
}

// clone returns a copy for the writer, in O(1).
func (r *registry) clone(epoch uint64) *registry {
	c := *r
	c.epoch = epoch
	c.slots = r.slots.Copy()
	c.children = r.children.Copy()
	c.linked = r.linked.Copy()
	return &c
}

func (r *registry) hash() Hash {
	return newDigest("tesd registry").string(r.id).uint(uint64(r.ordinal)).uint(r.revision).bytes(r.head[:]).
		uint(uint64(r.stamp)).uint(r.oldest).uint(r.keys.living).uint(r.keys.floor).sum()
}

// live returns the slot of an entity that exists, or nil.
func (r *registry) live(id string) *slot {
	if s, ok := r.slots.Get(id); ok && !s.gone {
		return s
	}
	return nil
}

// set puts a slot in place and keeps the index of children. It returns the hash of
// the slot that stood there before.
func (r *registry) set(id string, s *slot) (was Hash) {
	old, ok := r.slots.Set(id, s)
	if ok {
		was = old.sum
	}
	if ok && old.def == s.def && old.gone == s.gone {
		return was
	}
	if ok && !old.gone {
		key := childKey(old.def.ParentVersionID, id)
		r.children.Delete(key)
		r.linked.Delete(key)
		r.entities--
	}
	if !s.gone {
		key := childKey(s.def.ParentVersionID, id)
		r.children.Set(key, struct{}{})
		if s.def.UpdateStrategy == LinkedToParent {
			r.linked.Set(key, struct{}{})
		}
		r.entities++
	}
	return was
}

// childKey orders an index of children by parent and then by id. No id contains the
// separator, and it sorts below every character of an id. Roots have the parent "".
func childKey(parent, id string) string { return parent + separator + id }

const separator = "\x00"

// firstChild returns the smallest id below parent; ok is false if there is none.
func (r *registry) firstChild(parent string) (id string, ok bool) {
	eachChild(r.children, parent, func(child string) bool {
		id, ok = child, true
		return false
	})
	return id, ok
}

// eachChild calls yield with the ids below parent in an index of children, in order, until
// it returns false. The keys from the parent's id on begin with those of its children, so that
// it takes no key to find them.
func eachChild(index *btree.Map[string, struct{}], parent string, yield func(id string) bool) {
	index.Ascend(parent, func(key string, _ struct{}) bool {
		id, found := strings.CutPrefix(key, parent)
		if found {
			id, found = strings.CutPrefix(id, separator)
		}
		return found && yield(id)
	})
}

// below visits everything that an index of children has below an entity, depth-first, parents
// before children, siblings by id; with parent "" and all children it visits the whole
// registry. It keeps its own stack: chains may be as deep as the registry is large.
func (r *registry) below(index *btree.Map[string, struct{}], parent string, visit func(s *slot)) {
	var stack []string
	push := func(id string) {
		top := len(stack)
		eachChild(index, id, func(child string) bool {
			stack = append(stack, child)
			return true
		})
		slices.Reverse(stack[top:])
	}
	for push(parent); len(stack) > 0; {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		visit(r.live(id))
		push(id)
	}
}
