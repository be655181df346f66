package fsm_test

import (
	"maps"
	"slices"

	"github.com/tesd/tesd/fsm"
)

// model is the contract once more, as naive as can be: maps that are copied whole
// before each command, recursion, no index, no encoding, and each key keeps its
// whole answer. It is slow and it is right, or the machine is wrong with it.
type model struct {
	founded    bool
	cluster    fsm.Genesis
	stamp, age int64
	registries map[string]*modelRegistry
	keys       map[string]modelKey
}

type modelRegistry struct {
	entities map[string]fsm.Entity
	graves   map[string]string // last versions of what was deleted
	log      []modelTransaction
	oldest   uint64 // the oldest revision that may go is the one before
	loose    uint64 // as oldest, if keys that live hold back all that came after the last expired one
	released uint64 // the newest revision whose key has expired
}

type modelTransaction struct {
	outcome
	payload string
	hash    string
}

type modelKey struct {
	registry string
	request  string
	born     int64
	answer   outcome
}

// outcome is what a command's caller learns.
type outcome struct {
	Code      fsm.Code // of a refusal; empty for success
	EntityID  string   // what was refused
	Item      int      // the refused request of a batch, counted from 1
	Actual    string   // what a refused precondition found
	Revision  uint64
	Kind      string // of the transaction; empty if there is none
	Timestamp int64
	Actor     string
	Changes   []fsm.Change
	Items     []int
	Entities  []string // id and version of those that moved
	Replayed  bool
}

const (
	modelDay    = 24 * 60 * 60 * 1000
	modelTenMin = 10 * 60 * 1000
)

func newModel() *model {
	return &model{registries: make(map[string]*modelRegistry), keys: make(map[string]modelKey)}
}

func newModelRegistry() *modelRegistry {
	return &modelRegistry{entities: make(map[string]fsm.Entity), graves: make(map[string]string), oldest: 1}
}

func (r *modelRegistry) revision() uint64 { return uint64(len(r.log)) }

func (r *modelRegistry) clone() *modelRegistry {
	return &modelRegistry{maps.Clone(r.entities), maps.Clone(r.graves), slices.Clone(r.log), r.oldest, r.loose, r.released}
}

func (m *model) advance(stamp int64) {
	if stamp > m.stamp {
		if m.stamp > 0 {
			m.age += min(stamp-m.stamp, modelTenMin)
		}
		m.stamp = stamp
	}
	for name, k := range m.keys {
		if m.age-k.born < modelDay {
			continue
		}
		delete(m.keys, name)
		if r := m.registries[k.registry]; r != nil && k.answer.Kind != "" {
			r.released = max(r.released, k.answer.Revision)
		}
	}
}

func (m *model) apply(c fsm.Command) outcome {
	if _, ok := c.Op.(fsm.Lead); ok {
		return outcome{}
	}
	if g, ok := c.Op.(fsm.Genesis); ok {
		if !m.founded {
			m.founded, m.cluster = true, g
			m.registries[g.RegistryID] = newModelRegistry()
		}
		return outcome{}
	}
	if !m.founded {
		return outcome{Code: fsm.CodeNotReady, EntityID: c.EntityID()}
	}
	if !modelInShape(c) {
		return outcome{Code: fsm.CodeInvalidRequest, EntityID: c.EntityID()}
	}
	if c.Key == "" {
		return m.execute(c)
	}
	request := modelIdentity(c)
	if k, ok := m.keys[c.Key]; ok {
		if k.request != request {
			return outcome{Code: fsm.CodeKeyReused, EntityID: c.EntityID()}
		}
		k.answer.Replayed = true
		return k.answer
	}
	answer := m.execute(c)
	m.keys[c.Key] = modelKey{c.Registry, request, m.age, answer}
	return answer
}

func (m *model) execute(c fsm.Command) outcome {
	r := m.registries[c.Registry]
	if r == nil {
		_, put := c.Op.(fsm.Put)
		_, migrate := c.Op.(fsm.Migrate)
		if !put && !migrate {
			return outcome{Code: fsm.CodeRegistryNotFound, EntityID: c.EntityID()}
		}
		r = newModelRegistry()
	}
	if c.IfMatch != nil && *c.IfMatch != r.revision() {
		return outcome{Code: fsm.CodeRevisionMismatch, EntityID: c.EntityID(), Actual: decimal(r.revision())}
	}
	r = r.clone()
	o := r.carryOut(c.Op)
	if o.Code != "" {
		if o.EntityID == "" {
			o.EntityID = c.EntityID()
		}
		return o
	}
	if o.Kind == "" {
		o.Revision = r.revision()
		return o
	}
	o.Revision, o.Timestamp, o.Actor = r.revision()+1, m.stamp, c.Actor
	r.log = append(r.log, m.record(c, r, o))
	m.registries[c.Registry] = r
	m.trim(c.Registry, r)
	return o
}

// trim forgets what is more than the cluster keeps, except what a living key needs.
func (m *model) trim(id string, r *modelRegistry) {
	if m.cluster.HistoryKeep == 0 || r.revision() <= m.cluster.HistoryKeep {
		return
	}
	oldest := r.revision() - m.cluster.HistoryKeep + 1
	loose := oldest
	for _, k := range m.keys {
		if k.registry == id && k.answer.Kind != "" {
			oldest, loose = min(oldest, k.answer.Revision), min(loose, r.released+1)
		}
	}
	r.oldest, r.loose = max(r.oldest, oldest), max(r.loose, loose)
}

func (r *modelRegistry) carryOut(op fsm.Op) outcome {
	switch op := op.(type) {
	case fsm.Bump:
		return r.bump(op)
	case fsm.Batch:
		return r.batch(op)
	case fsm.Put:
		return r.put(op)
	case fsm.Delete:
		return r.delete(op)
	case fsm.Migrate:
		return r.migrate(op)
	}
	panic("no such operation")
}

// children are the ids below a parent in order; the roots are below "".
func (r *modelRegistry) children(parent string) []string {
	var ids []string
	for id, e := range r.entities {
		if e.ParentVersionID == parent {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// cascade is the entity and what moves with it.
func (r *modelRegistry) cascade(id string) []string {
	ids := []string{id}
	for _, child := range r.children(id) {
		if r.entities[child].UpdateStrategy == fsm.LinkedToParent {
			ids = append(ids, r.cascade(child)...)
		}
	}
	return ids
}

// everything is the whole registry, parents before children.
func (r *modelRegistry) everything(parent string) []string {
	var ids []string
	for _, id := range r.children(parent) {
		ids = append(append(ids, id), r.everything(id)...)
	}
	return ids
}

func (r *modelRegistry) bump(b fsm.Bump) outcome {
	e, exists := r.entities[b.EntityID]
	var ids []string
	switch {
	case b.EntityID == "":
		ids = r.everything("")
		if len(ids) == 0 {
			return outcome{Code: fsm.CodeEntityNotFound}
		}
	case !exists:
		return outcome{Code: fsm.CodeEntityNotFound, EntityID: b.EntityID}
	case b.ExpectedVersion != "" && b.ExpectedVersion != e.CurrentVersion:
		return outcome{Code: fsm.CodeVersionConflict, EntityID: b.EntityID, Actual: e.CurrentVersion}
	case b.Cascade:
		ids = r.cascade(b.EntityID)
	default:
		ids = []string{b.EntityID}
	}
	o := outcome{Kind: "bump"}
	for _, id := range ids {
		e := r.entities[id]
		next, ok := refBump(e.CurrentVersion, b.Scope)
		if !ok {
			return outcome{Code: fsm.CodeVersionOverflow, EntityID: id, Actual: e.CurrentVersion}
		}
		o.Changes = append(o.Changes, fsm.Change{EntityID: id, OldVersion: e.CurrentVersion, NewVersion: next, DisplayName: e.DisplayName, Type: e.Type})
		o.Entities = append(o.Entities, id+" "+next)
		e.CurrentVersion = next
		r.entities[id] = e
	}
	return o
}

func (r *modelRegistry) batch(b fsm.Batch) outcome {
	all := outcome{Kind: "batch"}
	for i, request := range b.Requests {
		o := r.bump(request)
		if o.Code != "" {
			o.Item = i + 1
			return o
		}
		all.Changes = append(all.Changes, o.Changes...)
		all.Entities = append(all.Entities, o.Entities...)
		all.Items = append(all.Items, len(o.Changes))
	}
	return all
}

func (r *modelRegistry) put(p fsm.Put) outcome {
	e := p.Entity
	old, exists := r.entities[e.ID]
	switch {
	case exists && p.CreateOnly:
		return outcome{Code: fsm.CodeEntityExists, Actual: old.CurrentVersion}
	case exists && e.CurrentVersion != "" && e.CurrentVersion != old.CurrentVersion:
		return outcome{Code: fsm.CodeVersionConflict, Actual: old.CurrentVersion}
	case !exists && e.CurrentVersion == "":
		return outcome{Code: fsm.CodeInvalidRequest}
	}
	if exists {
		e.CurrentVersion = old.CurrentVersion
	}
	r.entities[e.ID] = e
	if !r.valid() {
		return outcome{Code: fsm.CodeRegistryInvalid}
	}
	if last, deleted := r.graves[e.ID]; deleted && !exists {
		was, _ := refParse(last)
		is, _ := refParse(e.CurrentVersion)
		if !refLess(was, is) {
			return outcome{Code: fsm.CodeVersionConflict, Actual: last}
		}
	}
	o := outcome{Kind: "put", Entities: []string{e.ID + " " + e.CurrentVersion}}
	if exists && modelJSON(entityObject(e)) == modelJSON(entityObject(old)) {
		o.Kind = ""
		return o
	}
	o.Changes = []fsm.Change{{EntityID: e.ID, OldVersion: old.CurrentVersion, NewVersion: e.CurrentVersion, DisplayName: e.DisplayName, Type: e.Type}}
	return o
}

func (r *modelRegistry) delete(d fsm.Delete) outcome {
	e, exists := r.entities[d.EntityID]
	if !exists {
		return outcome{Code: fsm.CodeEntityNotFound}
	}
	if below := r.children(d.EntityID); len(below) > 0 {
		return outcome{Code: fsm.CodeHasChildren, Actual: below[0]}
	}
	delete(r.entities, e.ID)
	r.graves[e.ID] = e.CurrentVersion
	return outcome{Kind: "delete", Changes: []fsm.Change{{EntityID: e.ID, OldVersion: e.CurrentVersion, DisplayName: e.DisplayName, Type: e.Type}}}
}

func (r *modelRegistry) migrate(m fsm.Migrate) outcome {
	if r.revision() > 0 {
		return outcome{}
	}
	for _, e := range m.Entities {
		if _, twice := r.entities[e.ID]; twice {
			return outcome{Code: fsm.CodeRegistryInvalid}
		}
		r.entities[e.ID] = e
	}
	if len(m.Entities) == 0 || !r.valid() {
		return outcome{Code: fsm.CodeRegistryInvalid}
	}
	o := outcome{Kind: "migrate"}
	for _, id := range r.everything("") {
		e := r.entities[id]
		o.Changes = append(o.Changes, fsm.Change{EntityID: id, NewVersion: e.CurrentVersion, DisplayName: e.DisplayName, Type: e.Type})
	}
	return o
}

// valid holds the registry to the errors of the contract that need no toolchain.
func (r *modelRegistry) valid() bool {
	for _, e := range r.entities {
		if _, ok := refParse(e.CurrentVersion); !ok {
			return false
		}
		if e.UpdateStrategy == fsm.LinkedToParent && e.ParentVersionID == "" {
			return false
		}
		for steps := 0; e.ParentVersionID != ""; steps++ {
			parent, ok := r.entities[e.ParentVersionID]
			if !ok || steps > len(r.entities) {
				return false
			}
			e = parent
		}
	}
	return true
}
