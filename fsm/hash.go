package fsm

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/bits"
)

// Hash is a SHA-256 value.
type Hash [sha256.Size]byte

// digest hashes the logical content of one record: a domain name, then values with
// their lengths, so that no two records of different content hash the same bytes.
type digest struct {
	h   hash.Hash
	buf []byte
}

func newDigest(domain string) *digest {
	d := &digest{h: sha256.New(), buf: make([]byte, 0, 128)}
	d.string("tesd " + domain)
	return d
}

func (d *digest) uint(n uint64) { d.flush(); d.buf = binary.BigEndian.AppendUint64(d.buf, n) }

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
	d.flush()
	d.h.Write(b)
}

func (d *digest) flush() {
	d.h.Write(d.buf)
	d.buf = d.buf[:0]
}

func (d *digest) sum() (h Hash) {
	d.flush()
	d.h.Sum(h[:0])
	return h
}

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
