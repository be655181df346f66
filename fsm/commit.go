package fsm

import "bytes"

// draft is a transaction being committed: the registry that it writes to, and the
// new slots.
type draft struct {
	m *Machine
	r *registry
	t *Transaction
}

// begin opens the registry's next transaction. The request is copied: its memory is the machine's.
func (m *Machine) begin(c *Command, request []byte, r *registry) draft {
	r = m.writable(r)
	t := &Transaction{
		ClusterID: m.cluster.ClusterID, RegistryID: r.id, Revision: r.revision + 1,
		Kind: c.Kind(), Timestamp: m.stamp, Actor: c.Actor, Request: bytes.Clone(request),
		KeyID: m.cluster.KeyID, PreviousHash: r.head,
	}
	return draft{m, r, t}
}

// set puts a slot in place and notes the revision in the entity's index.
func (d *draft) set(id string, s *slot) {
	s.revs.append(d.t.Revision, d.r.oldest)
	was := d.r.set(id, s)
	d.m.sum.sub(was)
	d.m.sum.add(s.sum)
}

// maxKept bounds, in bytes, a buffer that is kept for the next command.
const maxKept = 1 << 20

// reusable returns the buffer, or none if it grew out of proportion.
func reusable(buf []byte) []byte {
	if cap(buf) > maxKept {
		return nil
	}
	return buf
}

// commit seals the transaction and makes it the registry's last.
func (d *draft) commit() Result {
	m, r, t := d.m, d.r, d.t
	m.payload = reusable(t.seal(m.payload))
	r.revision, r.head, r.stamp = t.Revision, t.Hash, t.Timestamp
	r.history.append(&m.packer, t)
	m.trim(r)
	m.rehash(r)
	return Result{Revision: t.Revision, Transaction: t}
}

// trim lets go of history beyond what the cluster was founded to keep, but of
// nothing that a living idempotency key refers to.
func (m *Machine) trim(r *registry) {
	keep := m.cluster.HistoryKeep
	if keep == 0 || r.revision <= keep {
		return
	}
	oldest := r.revision - keep + 1
	if r.keys.living > 0 {
		oldest = min(oldest, r.keys.floor+1)
	}
	if oldest > r.oldest {
		r.oldest = oldest
		r.history.drop(oldest)
	}
}

func (m *Machine) commitPlan(c *Command, request []byte, r *registry, plan *moves, refusal *Refusal) Result {
	if refusal != nil {
		return refused(c, refusal)
	}
	d := m.begin(c, request, r)
	d.t.Changes, d.t.Items = plan.Changes, plan.Items
	for i, s := range plan.slots {
		change := &plan.Changes[i]
		if plan.Items != nil { // an earlier request of the batch may have moved it
			s = d.r.live(change.EntityID)
		}
		d.set(change.EntityID, s.withVersion(r.id, change.NewVersion))
	}
	result := d.commit()
	result.Entities = plan.Entities
	return result
}

func (m *Machine) put(c *Command, request []byte, r *registry, op Put) Result {
	e := op.Entity
	old := r.live(e.ID)
	if refusal := r.checkPut(&e, old, op.CreateOnly); refusal != nil {
		return refused(c, refusal)
	}
	change := Change{e.ID, "", e.CurrentVersion, e.DisplayName, e.Type}
	var revs revList
	if old != nil {
		e.CurrentVersion = old.version
		if next := newSlot(r.id, &e, old.revs); next.digest == old.digest {
			return Result{Revision: r.revision, Entities: []Entity{e}}
		}
		change.OldVersion, change.NewVersion = old.version, old.version
		revs = old.revs
	} else if gone, ok := r.slots.Get(e.ID); ok {
		revs = gone.revs
	}
	d := m.begin(c, request, r)
	d.t.Changes = []Change{change}
	d.set(e.ID, newSlot(r.id, &e, revs))
	result := d.commit()
	result.Entities = []Entity{e}
	return result
}

// checkPut holds a put against the entity that it replaces, if any, and against the
// rest of the registry.
func (r *registry) checkPut(e *Entity, old *slot, createOnly bool) *Refusal {
	switch {
	case old != nil && createOnly:
		refusal := refuse(CodeEntityExists, e.ID)
		refusal.Actual = old.version
		return refusal
	case old != nil && e.CurrentVersion != "" && e.CurrentVersion != old.version:
		return refuseVersion(e.ID, e.CurrentVersion, old.version)
	case old == nil && e.CurrentVersion == "":
		refusal := refuse(CodeInvalidRequest, e.ID)
		refusal.Problems = versionIsRequired()
		return refusal
	case old == nil && r.entities >= MaxEntities:
		refusal := refuse(CodeTooLarge, e.ID)
		refusal.Expected = "100000 entities"
		return refusal
	case old == nil && r.slots.Len() >= MaxIDs:
		if _, known := r.slots.Get(e.ID); !known {
			refusal := refuse(CodeTooLarge, e.ID)
			refusal.Expected = "1000000 ids, those of deleted entities among them,"
			return refusal
		}
	}
	var report Report
	if old == nil {
		report.checkVersion(e)
	}
	report.checkLink(e)
	report.checkFiles(e)
	r.checkParent(&report, e, old)
	if !report.Valid() {
		refusal := refuse(CodeRegistryInvalid, e.ID)
		refusal.Findings = report.Errors
		return refusal
	}
	if gone, ok := r.slots.Get(e.ID); ok && old == nil {
		last, _ := ParseVersion(gone.version) // stored versions can be read
		if v, _ := ParseVersion(e.CurrentVersion); v.Compare(last) <= 0 {
			refusal := refuseVersion(e.ID, e.CurrentVersion, gone.version)
			refusal.Deleted = true
			return refusal
		}
	}
	return nil
}

// checkParent reports a parent that does not exist or that is below the entity: nothing is
// below one that is new, and nothing that was fine changes while the parent stays.
func (r *registry) checkParent(report *Report, e *Entity, old *slot) {
	switch {
	case e.ParentVersionID == "" || old != nil && old.def.ParentVersionID == e.ParentVersionID:
		return
	case old == nil && e.ParentVersionID != e.ID:
		if r.live(e.ParentVersionID) == nil {
			report.fail(FindingMissingParent, e.ID, "parent %q does not exist", e.ParentVersionID)
		}
		return
	}
	loop := []string{e.ID}
	for parent := e.ParentVersionID; parent != ""; {
		if parent == e.ID {
			report.fail(FindingCycle, e.ID, "it is its own ancestor: %s", loopText(loop))
			return
		}
		s := r.live(parent)
		if s == nil {
			report.fail(FindingMissingParent, e.ID, "parent %q does not exist", parent)
			return
		}
		loop = append(loop, parent)
		parent = s.def.ParentVersionID
	}
}

func (m *Machine) delete(c *Command, request []byte, r *registry, op Delete) Result {
	old := r.live(op.EntityID)
	if old == nil {
		return refused(c, refuse(CodeEntityNotFound, op.EntityID))
	}
	if child, ok := r.firstChild(op.EntityID); ok {
		refusal := refuse(CodeHasChildren, op.EntityID)
		refusal.Actual = child
		return refused(c, refusal)
	}
	d := m.begin(c, request, r)
	d.t.Changes = []Change{{op.EntityID, old.version, "", old.def.DisplayName, old.def.Type}}
	d.set(op.EntityID, old.deleted(r.id))
	return d.commit()
}

// migrate imports a registry that the ingress found valid. The structure is checked
// again: this package's own code decides it, the same on every node.
func (m *Machine) migrate(c *Command, request []byte, r *registry, op Migrate) Result {
	if r.revision > 0 {
		return Result{Revision: r.revision}
	}
	if len(op.Entities) == 0 {
		refusal := refuse(CodeRegistryInvalid, "")
		refusal.Findings = []Finding{{FindingEmpty, "", "there are no entities to import"}}
		return refused(c, refusal)
	}
	var report Report
	report.checkStructure(op.Entities)
	if !report.Valid() {
		refusal := refuse(CodeRegistryInvalid, "")
		refusal.Findings = report.Errors
		return refused(c, refusal)
	}
	d := m.begin(c, request, r)
	for i := range op.Entities {
		e := &op.Entities[i]
		d.set(e.ID, newSlot(r.id, e, revList{}))
	}
	d.t.Changes = make([]Change, 0, len(op.Entities))
	d.r.below(d.r.children, "", func(s *slot) {
		d.t.Changes = append(d.t.Changes, Change{s.def.ID, "", s.version, s.def.DisplayName, s.def.Type})
	})
	return d.commit()
}
