package fsm

import (
	"encoding/binary"
	"iter"
	"sort"
)

// revList is a growing list of revisions, the index of an entity's history: the
// differences as varints, with a mark every so often to start reading at. It is
// append-only, so copies share its memory.
type revList struct {
	deltas []byte
	marks  []revMark
	count  int
	last   uint64
}

// revMark says where in the deltas to read on to learn what follows revision.
type revMark struct {
	revision uint64 // the one before the delta at offset
	offset   int
}

const revsPerMark = 128

// append adds a revision. One that stands at the end already is not added twice.
// Revisions below oldest are no longer asked for and may go.
func (l *revList) append(revision, oldest uint64) {
	if revision == l.last {
		return
	}
	l.forget(oldest)
	if l.count%revsPerMark == 0 {
		l.marks = append(l.marks, revMark{l.last, len(l.deltas)})
	}
	l.deltas = binary.AppendUvarint(l.deltas, revision-l.last)
	l.last = revision
	l.count++
}

// forget drops revisions below oldest once they are half of the list, so that the
// copying it takes is paid for by the appends before.
func (l *revList) forget(oldest uint64) {
	half := len(l.marks) / 2
	if half == 0 || l.marks[half].revision >= oldest {
		return
	}
	start := l.marks[half].offset
	l.deltas = append([]byte(nil), l.deltas[start:]...)
	l.marks = append([]revMark(nil), l.marks[half:]...)
	for i := range l.marks {
		l.marks[i].offset -= start
	}
}

// after iterates over the revisions above the given one.
func (l *revList) after(revision uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		if len(l.marks) == 0 {
			return
		}
		// The last mark that does not start behind the wanted revision.
		i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].revision > revision })
		start := l.marks[max(i-1, 0)]
		at, deltas := start.revision, l.deltas[start.offset:]
		for len(deltas) > 0 {
			delta, size := binary.Uvarint(deltas)
			at, deltas = at+delta, deltas[size:]
			if at > revision && !yield(at) {
				return
			}
		}
	}
}
