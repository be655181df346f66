package bumpcheck

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// register is what an entity is at a moment, as porcupine searches for it.
type register struct{ version, name string }

// access is one thing that happened to one entity, between its call and its return. A read that
// does not see the name, as a refusal does not, has any.
type access struct {
	write bool
	old   string // version before a write
	register
	any bool

	client    int
	call, ret int64
	// By the history: the revisions at which the entity became, first and last, what the access
	// made or saw. They differ only for one that has any.
	from, to uint64
}

// String tells what happened.
func (a access) String() string {
	what := "read"
	switch {
	case a.write:
		what = "wrote"
	case a.any:
		what = "was refused for"
	}
	return fmt.Sprintf("client %d %s version %q, name %q, of revision %d to %d, between %d and %d", a.client, what, a.version, a.name, a.from, a.to, a.call, a.ret)
}

// registers has porcupine find an order of all accesses to each entity, in which each takes
// effect between its call and its return. Where to look for it is known from the history, see
// [narrow]; whether it is one does not rest on that.
func (c *checker) registers() {
	for entity, all := range c.accesses() { // any order
		is := register{}
		for _, e := range c.h.Seed {
			if e.ID == entity {
				is = register{e.Version, e.Name}
			}
		}
		all = thin(all)
		if wrong := narrow(all); wrong != nil {
			c.report(Linearizable, entity, "", wrong.after.from, "%v had returned when this was called: %v", wrong.after, wrong.before)
			continue
		}
		for _, piece := range pieces(all) {
			if !porcupine.CheckOperations(beginningAs(is), operations(piece)) {
				c.report(Linearizable, entity, "", piece[0].from, "porcupine finds no order for %d writes and reads from there on", len(piece))
			}
			for _, a := range piece {
				if a.write {
					is = a.register
				}
			}
		}
	}
}

// beginningAs is a register that begins as something.
func beginningAs(first register) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, input, _ any) (bool, any) {
			is, a := state.(register), input.(*access)
			switch {
			case a.write:
				return a.old == is.version, a.register
			case a.any:
				return a.version == is.version, is
			}
			return a.register == is, is
		},
	}
}

// operations returns accesses as porcupine takes them.
func operations(all []access) []porcupine.Operation {
	history := make([]porcupine.Operation, len(all))
	for i := range all {
		a := &all[i]
		history[i] = porcupine.Operation{ClientId: a.client, Input: a, Call: a.call, Return: a.ret}
	}
	return history
}

// accesses returns all accesses by entity. A write of unknown outcome returns never.
func (c *checker) accesses() map[string][]access {
	all, spans := make(map[string][]access), c.spans()
	for i := range c.r.Reads {
		r := &c.r.Reads[i]
		for _, saw := range r.Saw {
			if r.Stale {
				continue
			}
			at := c.since(saw.Entity, r.Revision).revision
			all[saw.Entity] = append(all[saw.Entity], access{
				register: register{saw.Version, saw.Name}, client: r.Client, call: r.Call, ret: r.Return, from: at, to: at,
			})
		}
	}
	for i := range c.r.Writes {
		w := &c.r.Writes[i]
		if e := w.Refusal.Entity; w.Outcome == Refused && w.Refusal.Code == versionConflict && len(w.Request.Bumps) == 1 {
			s, ok := spans[e][w.Refusal.Actual]
			if !ok {
				c.report(Linearizable, w.Request.Name, "", 0, "it was refused for version %s of %s, which was never there", w.Refusal.Actual, e)
				continue
			}
			all[e] = append(all[e], access{
				register: register{version: w.Refusal.Actual}, any: true, client: w.Client, call: w.Call, ret: w.Return, from: s.first, to: s.last,
			})
		}
		for entity, a := range c.writes(w) { // any order
			all[entity] = append(all[entity], a)
		}
	}
	return all
}

// span is the revisions at which an entity had a version, or became so: the first and the last.
type span struct{ first, last uint64 }

// spans returns when entities had which versions.
func (c *checker) spans() map[string]map[string]span {
	spans := make(map[string]map[string]span)
	for entity, all := range c.versions { // any order
		spans[entity] = make(map[string]span)
		for _, at := range all {
			s, ok := spans[entity][at.Version]
			if !ok {
				s.first = at.revision
			}
			s.last = at.revision
			spans[entity][at.Version] = s
		}
	}
	return spans
}

// writes returns what a write did to each entity, by the history.
func (c *checker) writes(w *Write) map[string]access {
	done := make(map[string]access)
	revision := c.revision[w.Request.Name]
	for _, change := range c.changesOf(w) {
		a, again := done[change.EntityID]
		if !again { // else a batch moves it once more
			a = access{write: true, old: change.OldVersion, client: w.Client, call: w.Call, ret: w.Return, from: revision, to: revision}
		}
		if w.Outcome == Unknown {
			a.ret = never
		}
		a.register = register{change.NewVersion, change.DisplayName}
		if a.version == "" {
			a.register = register{}
		}
		done[change.EntityID] = a
	}
	return done
}
