package bumpcheck

import (
	"cmp"
	"math"
	"slices"
)

// What porcupine is given is made easy to search. It notes each set of accesses that it has put in
// order so far, as a bit for each access: a history takes the square of its length in memory, and
// many times that where the search has to turn back. So reads that say nothing are left out, and
// each access is left only the time in which it can have taken effect in the order of the
// history; that also shows where the rest can be cut in pieces. All that only takes freedom away:
// the order that porcupine finds is one of the accesses as they were.

// never is behind all times, also when they are doubled.
const never = math.MaxInt64 / 4

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
// until the next one. If there is no time for a write, narrow returns its revision and false.
func narrow(all []access) (revision uint64, ok bool) {
	for i := range all { // so that there is a time between any two
		all[i].call *= 2
		all[i].ret *= 2
	}
	w := writesOf(all)
	effect, failed := w.effects(all)
	if failed != nil {
		return failed.from, false
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
	return 0, true
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

// effects returns the earliest time at which each write can have taken effect, and never for the
// one that is not there behind them; or the first write for which there is no such time.
func (w writes) effects(all []access) (effect []int64, failed *access) {
	called := make([]int64, len(w)+1)   // the last call of what saw or made what was before each write
	returned := make([]int64, len(w)+1) // the first return of what saw or made what was from it on
	for i := range returned {
		called[i], returned[i] = -1, never
	}
	for _, a := range all {
		next, seen := w.behind(a.to), w.behind(a.from)
		called[next] = max(called[next], a.call)
		if seen > 0 {
			returned[seen-1] = min(returned[seen-1], a.ret)
		}
	}
	for i := len(w) - 1; i >= 0; i-- {
		returned[i] = min(returned[i], returned[i+1])
	}
	at := int64(-1)
	for i := range w {
		called[i+1] = max(called[i+1], called[i])
		if at = max(w[i].call, called[i]+1, at+1); at >= returned[i] {
			return nil, &w[i]
		}
		effect = append(effect, at)
	}
	return append(effect, never), nil
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
