package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// Hash is a SHA-256 value.
type Hash [sha256.Size]byte

// digest hashes the logical content of one record: a domain name, then values with
// their lengths, so that no two records of different content hash the same bytes. The
// records are small, so they are gathered and hashed at once, which costs half of
// feeding a hash piece by piece.
type digest struct{ buf []byte }

func newDigest(domain string) digest {
	d := digest{make([]byte, 0, 256)}
	d.string(domain)
	return d
}

func (d *digest) uint(n uint64) { d.buf = binary.BigEndian.AppendUint64(d.buf, n) }

func (d *digest) bool(b bool) {
	n := uint64(0)
	if b {
		n = 1
	}
	d.uint(n)
}

func (d *digest) string(s string) {
	d.uint(uint64(len(s)))
	d.buf = append(d.buf, s...)
}

func (d *digest) bytes(b []byte) {
	d.uint(uint64(len(b)))
	d.buf = append(d.buf, b...)
}

func (d *digest) sum() Hash { return sha256.Sum256(d.buf) }

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
