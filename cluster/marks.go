package cluster

import (
	"sort"
	"sync"

	"github.com/tesd/tesd/fsm"
)

// mark is what the state was after an entry of the log.
type mark struct {
	index uint64
	hash  fsm.Hash
}

// keptMarks is how many entries back a node knows its state hash: several seconds of log at
// any rate that disks allow, in 160 KiB.
const keptMarks = 4096

// marks are those of the last entries that the machine applied without a break, by growing
// index. The FSM goroutine adds to them, anyone may ask.
type marks struct {
	mu     sync.Mutex
	ring   []mark
	oldest int // where in the ring, once it is full
}

// add notes the state after one more entry.
func (m *marks) add(k mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) < keptMarks {
		m.ring = append(m.ring, k)
		return
	}
	m.ring[m.oldest] = k
	m.oldest = (m.oldest + 1) % keptMarks
}

// restart forgets everything but the state that a snapshot has put in place of the one
// before, which may be further on and may have been another.
func (m *marks) restart(k mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring, m.oldest = append(m.ring[:0], k), 0
}

// newest returns the last mark; ok is false if there is none.
func (m *marks) newest() (k mark, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.ring) == 0 {
		return mark{}, false
	}
	return m.nth(len(m.ring) - 1), true
}

// at returns the state hash at an index: that after the last command at or below it. ok is
// false if the machine has not come that far, or it is too long ago.
func (m *marks) at(index uint64) (hash fsm.Hash, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	above := sort.Search(len(m.ring), func(i int) bool { return m.nth(i).index > index })
	if above == 0 {
		return fsm.Hash{}, false
	}
	k := m.nth(above - 1)
	return k.hash, above < len(m.ring) || k.index == index
}

// nth returns the mark that is the nth oldest, from 0.
func (m *marks) nth(n int) mark { return m.ring[(m.oldest+n)%len(m.ring)] }
