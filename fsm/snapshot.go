package fsm

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// The layout of a snapshot: magic, then sections, each of them a type byte, the
// length of the payload as a varint, the payload, and its CRC-32C. The order is that
// of the section types below, registry by registry; the last section is the end,
// which holds the state hash.
const (
	snapshotFormat = "tesd snapshot "
	snapshotMagic  = snapshotFormat + "3\n"
	snapshotBefore = snapshotFormat + "2\n" // its full blocks are compressed with DEFLATE; it is still read

	sectionHead     = 1 // cluster, clocks, registry names
	sectionRegistry = 2 // one registry's own fields
	sectionSlots    = 3 // slots of the registry before, many to a section
	sectionBlock    = 4 // a block of the registry's history
	sectionKeys     = 5 // idempotency keys, many to a section
	sectionEnd      = 6

	sectionTarget = 64 << 10  // bytes of a section that holds many records
	maxSection    = 512 << 20 // bytes of a section, against a forged length
)

// WriteTo writes a snapshot of the view, from which [Restore] makes a machine of the
// same state hash. It runs beside a machine that moves on.
func (v View) WriteTo(w io.Writer) (int64, error) {
	s := snapshotWriter{w: bufio.NewWriterSize(w, 128<<10)}
	s.raw([]byte(snapshotMagic))
	s.head(v.s)
	v.s.registries.Scan(func(_ string, r *registry) bool {
		s.registry(r)
		return s.err == nil
	})
	s.keys(&v.s.keys)
	hash := v.StateHash()
	s.e.fixed(hash[:])
	s.section(sectionEnd)
	if s.err == nil {
		s.err = s.w.Flush()
	}
	if s.err != nil {
		return s.written, fmt.Errorf("writing a snapshot: %w", s.err)
	}
	return s.written, nil
}

// snapshotWriter collects a section's payload in e and writes it out as a whole. The
// first error sticks.
type snapshotWriter struct {
	w       *bufio.Writer
	e       encoder
	written int64
	err     error
}

func (s *snapshotWriter) raw(b []byte) {
	if s.err == nil {
		var n int
		n, s.err = s.w.Write(b)
		s.written += int64(n)
	}
}

// section writes out what e has collected and starts anew.
func (s *snapshotWriter) section(kind byte) {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(s.e.buf)))
	s.raw(head)
	s.raw(s.e.buf)
	s.raw(binary.LittleEndian.AppendUint32(nil, checksum(s.e.buf)))
	s.e.buf = s.e.buf[:0]
}

// more writes the section out once it is large enough.
func (s *snapshotWriter) more(kind byte) {
	if len(s.e.buf) >= sectionTarget {
		s.section(kind)
	}
}

// rest writes the section out if it holds anything.
func (s *snapshotWriter) rest(kind byte) {
	if len(s.e.buf) > 0 {
		s.section(kind)
	}
}

func (s *snapshotWriter) head(st *state) {
	e := &s.e
	e.uint(st.index)
	st.cluster.encode(e)
	e.uint(uint64(st.stamp))
	e.uint(uint64(st.age))
	e.uint(st.malformed)
	e.uint(st.keys.head)
	e.uint(uint64(len(st.names)))
	for _, name := range st.names {
		e.string(name)
	}
	s.section(sectionHead)
}

func (s *snapshotWriter) registry(r *registry) {
	e := &s.e
	e.string(r.id)
	e.uint(uint64(r.ordinal))
	e.uint(r.revision)
	e.fixed(r.head[:])
	e.uint(uint64(r.stamp))
	e.uint(r.oldest)
	e.uint(r.keys.living)
	e.uint(r.keys.floor)
	e.uint(uint64(len(r.eras)))
	for _, era := range r.eras {
		e.string(era.clusterID)
		e.uint(era.last)
	}
	s.section(sectionRegistry)
	r.slots.Scan(func(_ string, slot *slot) bool {
		e.bool(slot.gone)
		e.string(slot.version)
		slot.def.encode(e)
		s.more(sectionSlots)
		return s.err == nil
	})
	s.rest(sectionSlots)
	for i := range r.history.sealed {
		s.block(&r.history.sealed[i], true)
	}
	if r.history.tail.count > 0 {
		s.block(&r.history.tail, false)
	}
}

func (s *snapshotWriter) block(b *block, sealed bool) {
	s.e.bool(sealed)
	s.e.uint(b.first)
	s.e.uint(uint64(b.count))
	s.e.fixed(b.previous[:])
	s.e.uint(uint64(b.size))
	s.e.bytes(b.data)
	s.section(sectionBlock)
}

func (s *snapshotWriter) keys(l *keyLog) {
	e := &s.e
	for n := l.head; n < l.end(); n++ {
		k := l.at(n)
		e.fixed(k.name[:])
		e.fixed(k.request[:])
		e.uint(uint64(k.born))
		e.uint(uint64(k.registry))
		e.uint(k.revision)
		k.other.encode(e, true)
		s.more(sectionKeys)
	}
	s.rest(sectionKeys)
}
