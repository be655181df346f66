package fsm

import "fmt"

// blockReader reads blocks of one registry's history, a transaction at a time. It keeps its memory from
// one block to the next.
type blockReader struct {
	chain       chain
	unhashed    bool // ids and hashes are left empty, which is cheaper
	shared      bool // strings are cut from one text of the whole block, for who keeps none of them
	left        int  // transactions of the block that are not read yet
	transaction Transaction
	d           decoder
	unpacker    unpacker
	scratch     []byte
	block       *block
	previous    Hash // of the transaction before the next
}

// open begins with a block, compressed if it is sealed.
func (r *blockReader) open(b *block, sealed bool) error {
	data := b.data
	if sealed {
		var err error
		if data, err = r.unpacker.unpack(b.data, uint64(b.size)); err != nil {
			return fmt.Errorf("opening the history block of revision %d: %w", b.first, err)
		}
	}
	r.block, r.left, r.d = b, b.count, decoder{buf: data}
	if r.shared {
		r.d.text = string(data)
	}
	r.previous = b.previous
	return nil
}

// next returns the next transaction, with what follows from its place. It is valid until the next call,
// and its request until the next block.
func (r *blockReader) next() (*Transaction, error) {
	t := &r.transaction
	previous := r.previous
	revision := r.block.first + uint64(r.block.count-r.left)
	r.left--
	t.decode(&r.d)
	if r.d.err != nil {
		return nil, fmt.Errorf("reading revision %d of the history: %w", revision, r.d.err)
	}
	t.ClusterID, t.RegistryID, t.Revision, t.PreviousHash = r.chain.cluster(revision), r.chain.registryID, revision, previous
	if r.unhashed {
		t.ID, t.Hash = "", Hash{}
	} else {
		r.scratch = t.seal(r.scratch)
	}
	r.previous = t.Hash
	return t, nil
}

// finish reports whether the block holds more than it counts.
func (r *blockReader) finish() error {
	if r.d.finish() != nil {
		return fmt.Errorf("the history block of revision %d holds more than it counts", r.block.first)
	}
	return nil
}
