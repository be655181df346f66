package fsm

import (
	"slices"

	"github.com/tidwall/btree"
)

// Plan is what a bump or a batch would do, worked out without doing it.
type Plan struct {
	Revision uint64   // of the registry that it was computed at
	Changes  []Change // in order: parents before children, siblings by id
	Entities []Entity // as they are after each change
	Items    []int    // of a batch: how many of the changes belong to each request
}

// moves is a plan with the slots that it is about.
type moves struct {
	Plan
	slots []*slot // parallel to Changes: as they are before all of them
}

// A transaction's changes weigh at most maxPlan bytes, each changeWeight and its texts:
// a batch may name the whole of a large registry in each of its requests, and what
// comes of it must fit into memory and into a block of the history, which maxBody
// bounds. One bump of the largest registry fits, unless its texts are longer than any
// person would write.
const (
	maxPlan      = 256 << 20
	changeWeight = 256
)

// planner works out moves on a registry that it does not touch.
type planner struct {
	r      *registry
	plan   *moves
	moved  map[string]string // versions as the requests before left them; for batches
	weight int
}

// planBumps adds the requests to an empty plan, one after the other, each seeing those before it.
// One request that is no batch has the item -1.
func (r *registry) planBumps(plan *moves, requests []Bump, batch bool) *Refusal {
	plan.Revision = r.revision
	p := planner{r: r, plan: plan}
	if batch {
		p.moved = make(map[string]string)
	}
	for i := range requests {
		before := len(plan.Changes)
		if refusal := p.bump(&requests[i]); refusal != nil {
			if batch {
				refusal.Item = i
			}
			return refusal
		}
		if batch {
			plan.Items = append(plan.Items, len(plan.Changes)-before)
		}
	}
	return nil
}

func (p *planner) bump(b *Bump) *Refusal {
	if b.EntityID == "" {
		if p.r.entities == 0 {
			return refuse(CodeEntityNotFound, "")
		}
		return p.cascade(nil, p.r.children, b.Scope)
	}
	s := p.r.live(b.EntityID)
	if s == nil {
		return refuse(CodeEntityNotFound, b.EntityID)
	}
	if actual := p.version(s); b.ExpectedVersion != "" && b.ExpectedVersion != actual {
		return refuseVersion(b.EntityID, b.ExpectedVersion, actual)
	}
	if !b.Cascade {
		p.plan.slots = append(p.plan.slots, s)
		return p.move(s, b.Scope)
	}
	return p.cascade(s, p.r.linked, b.Scope)
}

// cascade moves an entity and what an index of children has below it: of those that are
// linked, an independent entity stays, and so does everything below it. The whole registry
// moves with top nil.
func (p *planner) cascade(top *slot, index *btree.Map[string, struct{}], scope Scope) *Refusal {
	before, parent := len(p.plan.slots), ""
	if top != nil {
		parent = top.def.ID
		p.plan.slots = append(p.plan.slots, top)
	}
	// First what moves, so that the plan takes the room that it needs, at once.
	p.r.below(index, parent, func(s *slot) { p.plan.slots = append(p.plan.slots, s) })
	moved := p.plan.slots[before:]
	p.plan.Changes, p.plan.Entities = slices.Grow(p.plan.Changes, len(moved)), slices.Grow(p.plan.Entities, len(moved))
	for _, s := range moved {
		if refusal := p.move(s, scope); refusal != nil {
			return refusal
		}
	}
	return nil
}

// move plans the bump of one entity from its own version.
func (p *planner) move(s *slot, scope Scope) *Refusal {
	id, old := s.def.ID, p.version(s)
	version, err := ParseVersion(old)
	if err == nil {
		version, err = version.Bump(scope)
	}
	if err != nil { // stored versions can be read, so the bump overflowed
		r := refuse(CodeVersionOverflow, id)
		r.Actual = old
		return r
	}
	next := version.String()
	p.weight += changeWeight + len(id) + len(old) + len(next) + len(s.def.DisplayName)
	if p.weight > maxPlan {
		r := refuse(CodeTooLarge, "")
		r.Expected = "256 MiB of changes in one transaction"
		return r
	}
	p.plan.Changes = append(p.plan.Changes, Change{id, old, next, s.def.DisplayName, s.def.Type})
	p.plan.Entities = append(p.plan.Entities, *s.def)
	p.plan.Entities[len(p.plan.Entities)-1].CurrentVersion = next
	if p.moved != nil {
		p.moved[id] = next
	}
	return nil
}

// version is the entity's, as the requests before have left it.
func (p *planner) version(s *slot) string {
	if v, ok := p.moved[s.def.ID]; ok {
		return v
	}
	return s.version
}

// Reach estimates, from above, how many entities a command would move, so that those
// who collect commands can bound what comes of them. It costs little however large the
// registry is: what moves more than some hundreds counts as moving everything.
func (v View) Reach(c Command) int {
	r, ok := v.s.registries.Get(c.Registry)
	if !ok {
		return 1
	}
	switch op := c.Op.(type) {
	case Bump:
		return r.reach(&op)
	case Batch:
		sum := 0
		for i := range op.Requests {
			sum += r.reach(&op.Requests[i])
		}
		return sum
	case Migrate:
		return len(op.Entities)
	}
	return 1
}

func (r *registry) reach(b *Bump) int {
	const few = 256
	switch {
	case b.EntityID == "":
		return r.entities
	case !b.Cascade:
		return 1
	}
	n := 0
	for stack := []string{b.EntityID}; len(stack) > 0; {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		eachChild(r.linked, id, func(child string) bool {
			stack = append(stack, child)
			return n+len(stack) <= few
		})
		if n++; n+len(stack) > few {
			return r.entities
		}
	}
	return n
}
