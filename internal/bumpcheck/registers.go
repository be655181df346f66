package bumpcheck

import (
	"math"

	"github.com/anishathalye/porcupine"
)

// register is what an entity is at a moment, as porcupine searches for it.
type register struct{ version, name string }

// access is one thing that happened to one entity. A read that does not see the name, as a
// refusal does not, has any.
type access struct {
	write bool
	old   string // version before a write
	register
	any bool
}

// registers has porcupine find an order of all accesses to each entity, in which each takes
// effect between its call and its return. The revisions play no part in it.
func (c *checker) registers() {
	for entity, history := range c.accesses() {
		first := register{}
		for _, e := range c.h.Seed {
			if e.ID == entity {
				first = register{e.Version, e.Name}
			}
		}
		model := porcupine.Model{
			Init: func() any { return first },
			Step: func(state, input, _ any) (bool, any) {
				is, a := state.(register), input.(access)
				switch {
				case a.write:
					return a.old == is.version, a.register
				case a.any:
					return a.version == is.version, is
				}
				return a.register == is, is
			},
		}
		if !porcupine.CheckOperations(model, history) {
			c.report(Linearizable, entity, "", 0, "porcupine finds no order for its %d writes and reads", len(history))
		}
	}
}

// accesses returns all accesses by entity. A write of unknown outcome takes effect after its
// call, and before the first return of whatever saw what it wrote.
func (c *checker) accesses() map[string][]porcupine.Operation {
	all := make(map[string][]porcupine.Operation)
	add := func(client int, entity string, call, ret int64, a access) {
		all[entity] = append(all[entity], porcupine.Operation{ClientId: client, Input: a, Call: call, Return: ret})
	}
	for i := range c.r.Reads {
		r := &c.r.Reads[i]
		for _, saw := range r.Saw {
			if !r.Stale {
				add(r.Client, saw.Entity, r.Call, r.Return, access{register: register{saw.Version, saw.Name}})
			}
		}
	}
	for i := range c.r.Writes {
		w := &c.r.Writes[i]
		ret := w.Return
		if w.Outcome == Unknown {
			ret = math.MaxInt64
		}
		if w.Outcome == Refused && w.Refusal.Code == versionConflict && len(w.Request.Bumps) == 1 {
			add(w.Client, w.Refusal.Entity, w.Call, ret, access{register: register{version: w.Refusal.Actual}, any: true})
		}
		done := make(map[string]access)
		for _, change := range c.changesOf(w) {
			a, again := done[change.EntityID]
			if !again { // else a batch moves it once more
				a = access{write: true, old: change.OldVersion}
			}
			a.register = register{change.NewVersion, change.DisplayName}
			if a.version == "" {
				a.register = register{}
			}
			done[change.EntityID] = a
		}
		for entity, a := range done { // any order
			add(w.Client, entity, w.Call, ret, a)
		}
	}
	for entity, history := range all { // any order
		bound(history)
		all[entity] = thin(history)
	}
	return all
}

// thin leaves out the reads that say no more than others do. No entity ever is again what it was
// before, but for not being there. So it is something for one stretch of time, and all reads of
// that meet the stretch if the one that returned first and the one that was called last do:
// that one says that the stretch had begun, and this one that it had not ended. Without them
// the search can take for ever, where many read at once.
func thin(history []porcupine.Operation) (kept []porcupine.Operation) {
	type extremes struct{ first, last porcupine.Operation }
	reads := make(map[register]extremes)
	for _, o := range history {
		a := o.Input.(access)
		if a.write || a.any || a.version == "" {
			kept = append(kept, o)
			continue
		}
		e, ok := reads[a.register]
		if !ok || o.Return < e.first.Return {
			e.first = o
		}
		if !ok || o.Call > e.last.Call {
			e.last = o
		}
		reads[a.register] = e
	}
	for _, e := range reads { // any order
		kept = append(kept, e.first)
		if e.last != e.first {
			kept = append(kept, e.last)
		}
	}
	return kept
}

// bound bounds the writes of unknown outcome by whoever saw them, which keeps the search short.
func bound(history []porcupine.Operation) {
	seen := make(map[string]int64)
	note := func(version string, ret int64) {
		if at, ok := seen[version]; !ok || ret < at {
			seen[version] = ret
		}
	}
	for _, o := range history {
		if a := o.Input.(access); a.write {
			note(a.old, o.Return)
		} else {
			note(a.version, o.Return)
		}
	}
	for i := range history {
		o := &history[i]
		a := o.Input.(access)
		if ret, ok := seen[a.version]; o.Return == math.MaxInt64 && ok && a.version != a.old {
			o.Return = max(ret, o.Call+1)
		}
	}
}
