package feed

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/tesd/tesd/fsm"
)

// What is kept in memory of older transactions, so that watchers who come back at once, as they do
// after the restart of a node, have them read and encoded once and not each for itself.
const (
	blockItems  = 64
	blockBytes  = 1 << 20 // a block that takes more is not kept
	blocksBytes = 16 << 20
)

// blocks are runs of older transactions that cursors share.
type blocks struct {
	mu     sync.Mutex
	byKey  map[blockKey]*block
	used   []*block // the one that was asked for last at the end
	weight int
}

// blockKey names the block of a registry that begins behind a revision, a multiple of blockItems.
type blockKey struct {
	registry string
	after    uint64
}

// block is consecutive transactions: blockItems of them, or fewer if there were no more when it was
// read. The history never changes, so neither does a block.
type block struct {
	key    blockKey
	last   uint64  // revision of the last one
	read   func()  // fills in what follows, the first time
	items  []*Item // nil if they are not to be shared
	err    error
	weight int // as it was counted; 0 until it was read
}

// after returns the transactions of a block that follow a revision, read from r if need be. It
// returns none if they are not to be shared: they are too large, or not all of them are kept.
func (b *blocks) after(r fsm.Registry, revision uint64) ([]*Item, error) {
	key := blockKey{r.ID(), revision - revision%blockItems}
	if key.after+1 < r.OldestRevision() {
		return nil, nil
	}
	found := b.find(key, revision, r)
	found.read()
	if found.items == nil {
		return nil, found.err
	}
	return found.items[revision-key.after:], nil
}

// find returns a block with what follows a revision. A new one will be read from r.
func (b *blocks) find(key blockKey, revision uint64, r fsm.Registry) *block {
	b.mu.Lock()
	defer b.mu.Unlock()
	found, ok := b.byKey[key]
	if ok && found.last <= revision {
		b.drop(found)
		ok = false
	} else if ok {
		b.used = slices.DeleteFunc(b.used, func(o *block) bool { return o == found })
	}
	if !ok {
		found = &block{key: key, last: min(r.Revision(), key.after+blockItems)}
		found.read = sync.OnceFunc(func() { b.read(found, r) })
		b.byKey[key] = found
	}
	b.used = append(b.used, found)
	return found
}

// read fills a block.
func (b *blocks) read(found *block, r fsm.Registry) {
	count := int(found.last - found.key.after)
	items, weight, err := readHistory(r, found.key.after, count, blockBytes)
	if weight > blockBytes || len(items) < count {
		items, weight = nil, 512 // that it is not to be shared is worth knowing
	}
	found.items, found.err = items, err
	b.account(found, weight)
}

// account counts a block that was read, and lets go of those that nobody has asked for longest.
func (b *blocks) account(read *block, weight int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.byKey[read.key] != read {
		return // it was let go of before it was read
	}
	read.weight = weight
	b.weight += weight
	if read.err != nil {
		b.drop(read)
	}
	for b.weight > blocksBytes && len(b.used) > 1 {
		b.drop(b.used[0])
	}
}

func (b *blocks) drop(gone *block) {
	b.weight -= gone.weight
	delete(b.byKey, gone.key)
	b.used = slices.DeleteFunc(b.used, func(o *block) bool { return o == gone })
}

// readHistory reads what follows a revision, most transactions at most, and no more once they weigh
// more than enough.
func readHistory(r fsm.Registry, after uint64, most, enough int) (items []*Item, weight int, err error) {
	for tx, err := range r.History(after) {
		if errors.Is(err, fsm.ErrCompacted) {
			return nil, 0, ErrCompacted
		} else if err != nil {
			return nil, 0, fmt.Errorf("reading the history of registry %s: %w", r.ID(), err)
		}
		item := &Item{Transaction: &tx}
		items, weight = append(items, item), weight+item.weight()
		if len(items) >= most || weight > enough {
			break
		}
	}
	return items, weight, nil
}
