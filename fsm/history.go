package fsm

import (
	"fmt"
	"iter"
	"sort"
)

// A block is full, and sealed, at this many transactions or bytes before
// compression: large enough to compress well, small enough to open for one read.
const (
	blockTransactions = 256
	blockBytes        = 128 << 10
)

// block holds consecutive transactions as records, without what follows from their
// place: revisions count up from first, and the hashes are worked out anew when the
// block is opened, from the hash before its first transaction.
type block struct {
	first    uint64 // revision of its first transaction
	count    int
	previous Hash   // hash of the transaction before the first
	size     int    // of the records, in bytes
	data     []byte // the records; compressed once the block is sealed
	unhashed bool   // it comes from a snapshot whose word was taken for it, see [Load]
}

// history is a registry's transactions, oldest first: sealed blocks and an open one
// at the end. It is append-only, so copies share its memory: the writer only ever
// writes beyond what an older copy can see.
type history struct {
	sealed []block
	tail   block
}

// append adds the transaction, which follows the last one. A block that is full is sealed with p.
func (h *history) append(p *packer, t *Transaction) {
	if h.tail.count >= blockTransactions || h.tail.size >= blockBytes {
		h.tail.data = p.pack(h.tail.data)
		h.sealed = append(h.sealed, h.tail)
		// The next block takes about as much room: growing up to it would copy it several times.
		h.tail = block{data: make([]byte, 0, min(h.tail.size+h.tail.size/8, blockBytes))}
	}
	if h.tail.count == 0 {
		h.tail.first, h.tail.previous = t.Revision, t.PreviousHash
	}
	e := encoder{h.tail.data}
	t.encode(&e)
	h.tail.data, h.tail.size = e.buf, len(e.buf)
	h.tail.count++
}

// drop frees the blocks that hold nothing at or above the oldest revision to keep.
func (h *history) drop(oldest uint64) {
	for len(h.sealed) > 0 && h.sealed[0].first+uint64(h.sealed[0].count) <= oldest {
		h.sealed = h.sealed[1:]
	}
}

// find returns the number of the block that holds a revision; that of the tail is
// len(h.sealed).
func (h *history) find(revision uint64) int {
	return sort.Search(len(h.sealed), func(i int) bool { return h.sealed[i].first+uint64(h.sealed[i].count) > revision })
}

// chain names what a registry's transactions have in common.
type chain struct {
	registryID string
	clusterID  string // that new transactions are of
	eras       []era
}

// era is a time in which the registry was another cluster's: the one that a backup was
// taken of. What was signed there says so for ever.
type era struct {
	clusterID string
	last      uint64 // the last revision that is of that cluster
}

// cluster returns the cluster that a revision is of.
func (c chain) cluster(revision uint64) string {
	for _, e := range c.eras {
		if revision <= e.last {
			return e.clusterID
		}
	}
	return c.clusterID
}

// read iterates over the transactions of block i, working out what follows from
// their place.
func (h *history) read(i int, c chain) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		b, sealed := &h.tail, i < len(h.sealed)
		if sealed {
			b = &h.sealed[i]
		}
		reader := blockReader{chain: c}
		var err error
		if b.unhashed {
			err = h.verify(i, &reader)
		}
		if err == nil {
			err = reader.open(b, sealed)
		}
		if err != nil {
			yield(Transaction{}, err)
			return
		}
		for reader.left > 0 {
			reader.transaction = Transaction{} // what is handed out shares no memory with the next
			t, err := reader.next()
			if err != nil {
				yield(Transaction{}, err)
				return
			}
			if !yield(*t, nil) {
				return
			}
		}
		if err := reader.finish(); err != nil {
			yield(Transaction{}, err)
		}
	}
}

// verify reads sealed block i to its end, which must be where the next block begins: before that, nothing
// of it is proven.
func (h *history) verify(i int, reader *blockReader) error {
	b := &h.sealed[i]
	if err := reader.open(b, true); err != nil {
		return err
	}
	for reader.left > 0 {
		if _, err := reader.next(); err != nil {
			return err
		}
	}
	next := &h.tail
	if i+1 < len(h.sealed) {
		next = &h.sealed[i+1]
	}
	if next.count > 0 && next.previous != reader.previous {
		return fmt.Errorf("the history block of revision %d does not lead to the one after it", b.first)
	}
	return reader.finish()
}

// from iterates over the transactions from revision on.
func (h *history) from(revision uint64, c chain) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		for i := h.find(revision); i <= len(h.sealed); i++ {
			for t, err := range h.read(i, c) {
				if (err != nil || t.Revision >= revision) && !yield(t, err) || err != nil {
					return
				}
			}
		}
	}
}

// pick iterates over the transactions of the given revisions, which are kept and in
// order. It opens each block that holds one of them once.
func (h *history) pick(revisions iter.Seq[uint64], c chain) iter.Seq2[Transaction, error] {
	return func(yield func(Transaction, error) bool) {
		next, stop := iter.Pull(revisions)
		defer stop()
		for want, ok := next(); ok; {
			last := want
			for t, err := range h.read(h.find(want), c) {
				if err != nil {
					yield(t, err)
					return
				}
				if last = t.Revision; last != want {
					continue
				}
				if !yield(t, nil) {
					return
				}
				if want, ok = next(); !ok {
					return
				}
			}
			if want <= last {
				return // the revision is not there: it must not be asked for
			}
		}
	}
}
