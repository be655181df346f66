package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Hash is a SHA-256 value.
type Hash [sha256.Size]byte

// digest gathers the logical content of one record to be hashed: a domain name, then values
// with their lengths, so that no two records of different content hash the same bytes. The
// records are small, so they are hashed at once, which costs half of feeding a hash piece by
// piece. Each method returns the digest with a value more: handed on by value, it needs no memory of the heap.
type digest []byte

func newDigest(domain string) digest {
	return digest(make([]byte, 0, 256)).string(domain)
}

func (d digest) uint(n uint64) digest { return binary.BigEndian.AppendUint64(d, n) }

func (d digest) bool(b bool) digest {
	if b {
		return d.uint(1)
	}
	return d.uint(0)
}

func (d digest) string(s string) digest { return append(d.uint(uint64(len(s))), s...) }

func (d digest) bytes(b []byte) digest { return append(d.uint(uint64(len(b))), b...) }

func (d digest) sum() Hash { return sha256.Sum256(d) }

// sum256 is the running state hash: the sum modulo 2^256 of the hashes of all
// records. A record that changes is subtracted and added again, so the cost of
// keeping it is that of the change, and the order of changes does not matter.
type sum256 [4]uint64

func (s *sum256) add(h Hash) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
}

func (s *sum256) sub(h Hash) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], binary.LittleEndian.Uint64(h[8*i:]), borrow)
	}
}

// replace takes the hash of a record's old content for that of its new one. A zero
// hash stands for a record that does not exist.
func (s *sum256) replace(was, is Hash) {
	s.sub(was)
	s.add(is)
}
