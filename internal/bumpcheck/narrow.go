package bumpcheck

import (
	"cmp"
	"slices"
)

// What porcupine is given is made easy to search. It notes each set of accesses that it has put in
// order so far, as a bit for each access: a history takes the square of its length in memory, and
// many times that where the search has to turn back. So reads that say nothing are left out, and
// each access is left only the time in which it can have taken effect in the order of the
// history; that also shows where the rest can be cut in pieces. All that only takes freedom away:
// the order that porcupine finds is one of the accesses as they were.

// never is behind all times.
const never = 1 << 40

// thin leaves out the reads that say no more than others do. All that saw an entity as it became
// at one revision meet that stretch of time if the one that returned first and the one that was
// called last do: that one says that the stretch had begun, and this one that it had not ended.
func thin(all []access) (kept []access) {
	type stretch struct {
		from uint64
		any  bool
	}
	type extremes struct{ first, last access }
	reads := make(map[stretch]extremes)
	for _, a := range all {
		if a.write {
			kept = append(kept, a)
			continue
		}
		s := stretch{a.from, a.any}
		e, ok := reads[s]
		if !ok || a.ret < e.first.ret {
			e.first = a
		}
		if !ok || a.call > e.last.call {
			e.last = a
		}
		reads[s] = e
	}
	for _, e := range reads { // any order
		kept = append(kept, e.first)
		if e.last != e.first {
			kept = append(kept, e.last)
		}
	}
	return kept
}

// narrow puts accesses in the order of the history and leaves each the time in which it can have
// taken effect in that order. A write has it from when all that saw or made what was before it had
// been called: whoever takes what was called first need never turn back. What saw a write has it
// until the next one. It returns why there is no time for a write, if there is none.
func narrow(all []access) *contradiction {
	room := int64(len(all)) + 2 // between any two times: all writes can have taken effect there
	for i := range all {
		all[i].call *= room
		all[i].ret *= room
	}
	w := writesOf(all)
	effect, wrong := w.effects(all, never*room)
	if wrong != nil {
		for _, a := range []*access{&wrong.before, &wrong.after} {
			a.call, a.ret = a.call/room, a.ret/room
		}
		return wrong
	}
	for i := range all {
		a := &all[i]
		if seen := w.behind(a.from); seen > 0 {
			a.call = max(a.call, effect[seen-1])
		}
		a.ret = min(a.ret, effect[w.behind(a.to)])
	}
	slices.SortFunc(all, func(a, b access) int {
		switch order := cmp.Compare(a.from, b.from); {
		case order != 0:
			return order
		case a.write: // it made what the others saw
			return -1
		case b.write:
			return 1
		}
		return 0
	})
	return nil
}

// writes are those of an entity, in the order of the history.
type writes []access

func writesOf(all []access) (w writes) {
	for _, a := range all {
		if a.write {
			w = append(w, a)
		}
	}
	slices.SortFunc(w, func(a, b access) int { return cmp.Compare(a.from, b.from) })
	return w
}

// behind returns the place of the first write behind a revision.
func (w writes) behind(revision uint64) int {
	i, found := slices.BinarySearchFunc(w, revision, func(a access, r uint64) int { return cmp.Compare(a.from, r) })
	if found {
		i++
	}
	return i
}

// contradiction is two accesses in the wrong order: the one that saw, or made, what an entity was
// before a write was called when the one that saw or made what it was after had returned.
type contradiction struct{ before, after access }

// effects returns the earliest time at which each write can have taken effect, and the end for the
// one that is not there behind them; or why there is no such time for one.
func (w writes) effects(all []access, end int64) ([]int64, *contradiction) {
	before := make([]access, len(w)+1) // each write, what was called last of all that was before it
	after := make([]access, len(w)+1)  // what returned first of all from it on
	for i := range w {
		before[i].call, after[i].ret = -1, end
	}
	before[len(w)].call, after[len(w)].ret = -1, end
	for _, a := range all {
		if next := w.behind(a.to); a.call > before[next].call {
			before[next] = a
		}
		if seen := w.behind(a.from); seen > 0 && a.ret < after[seen-1].ret {
			after[seen-1] = a
		}
	}
	for i := len(w) - 1; i >= 0; i-- {
		if after[i+1].ret < after[i].ret {
			after[i] = after[i+1]
		}
	}
	var effect []int64
	for i, at := 0, int64(-1); i < len(w); i++ {
		if i > 0 && before[i-1].call > before[i].call {
			before[i] = before[i-1]
		}
		if at = max(w[i].call, before[i].call+1, at+1); at >= after[i].ret {
			if w[i].call > before[i].call {
				before[i] = w[i]
			}
			return nil, &contradiction{before[i], after[i]}
		}
		effect = append(effect, at)
	}
	return append(effect, end), nil
}

// pieceSize is how many accesses porcupine is given at once, about.
const pieceSize = 500

// pieces cuts accesses that are narrowed before writes that change the version. What is in one
// piece had returned when what is in the next was called.
func pieces(all []access) (cut [][]access) {
	begin := 0
	for i, a := range all {
		if i-begin >= pieceSize && a.write && a.old != a.version {
			cut, begin = append(cut, all[begin:i]), i
		}
	}
	return append(cut, all[begin:])
}
