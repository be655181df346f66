package feed

import (
	"sync"
	"sync/atomic"

	"github.com/tesd/tesd/fsm"
)

// What is kept in memory of a registry's newest transactions, and of those of all registries
// together.
const (
	recentItems = 1024
	recentBytes = 4 << 20
	totalBytes  = 64 << 20
)

// Item is a transaction that cursors share.
type Item struct {
	Transaction *fsm.Transaction // read only

	once   sync.Once
	shared any
}

// Share returns what make makes of the transaction. It is made once, by the first who asks;
// all must ask for the same.
func (i *Item) Share(make func(*fsm.Transaction) any) any {
	i.once.Do(func() { i.shared = make(i.Transaction) })
	return i.shared
}

// weight is about how much memory an item takes, with what is shared of it.
func (i *Item) weight() int {
	return 512 + 2*len(i.Transaction.Request) + 400*len(i.Transaction.Changes)
}

// topic is the newest transactions of one registry. The window is replaced by the one who
// applies the log, and never changed otherwise: readers need no lock, and the writer none.
type topic struct {
	window  atomic.Pointer[window]
	news    atomic.Pointer[news] // replaced when there is more
	dirty   atomic.Bool          // there is more than was told
	cursors atomic.Int64
}

// news is what cursors wait for.
type news struct {
	come    chan struct{} // closed when there is more
	waiting atomic.Int64  // cursors that asked for it
}

func newNews() *news { return &news{come: make(chan struct{})} }

// window is consecutive transactions. Its items share an array with those of the windows
// before and after it: the writer only ever writes beyond what an older one can see.
type window struct {
	items  []*Item
	weight int
}

func newTopic() *topic {
	t := &topic{}
	t.window.Store(&window{})
	t.news.Store(newNews())
	return t
}

// append adds the transaction that follows the last one, and lets go of the oldest ones that are
// more than the budget. What nobody watches is not kept: who comes reads it from the history.
func (t *topic) append(tx *fsm.Transaction, budget int) {
	defer t.dirty.Store(true) // when it can be seen
	if t.cursors.Load() == 0 {
		t.window.Store(&window{})
		return
	}
	w := *t.window.Load()
	if n := len(w.items); n > 0 && w.items[n-1].Transaction.Revision+1 != tx.Revision {
		w = window{} // there was a reset
	}
	item := &Item{Transaction: tx}
	w.items, w.weight = append(w.items, item), w.weight+item.weight()
	for len(w.items) > recentItems || w.weight > budget && len(w.items) > 1 {
		w.weight -= w.items[0].weight()
		w.items = w.items[1:]
	}
	t.window.Store(&w)
}

// clear forgets everything.
func (t *topic) clear() {
	t.window.Store(&window{})
	t.dirty.Store(true)
}

// tell wakes those who wait, if there is more than they were told of. It returns how many
// those are: who is still busy with what came before is not among them.
func (t *topic) tell() int64 {
	if !t.dirty.Swap(false) {
		return 0
	}
	told := t.news.Swap(newNews())
	close(told.come)
	return told.waiting.Load()
}

// after returns up to most items that follow a revision. It reports false if the first of
// them is older than the window.
func (t *topic) after(revision uint64, most int) ([]*Item, bool) {
	w := t.window.Load()
	if len(w.items) == 0 {
		return nil, false
	}
	first := w.items[0].Transaction.Revision
	if revision+1 < first {
		return nil, false
	}
	rest := w.items[min(revision+1-first, uint64(len(w.items))):]
	return portion(rest[:min(most, len(rest))]), true
}

// portionBytes is about how much memory the items may take that a cursor gives at once: one
// transaction may be as large as a registry.
const portionBytes = 256 << 10

// portion returns the first of the items that are not too much at once, one at least.
func portion(items []*Item) []*Item {
	weight := 0
	for i, item := range items {
		if weight += item.weight(); weight > portionBytes && i > 0 {
			return items[:i]
		}
	}
	return items
}
