package fsm

import (
	"encoding/binary"
	"errors"
)

// encoder appends the primitive values of the binary formats (entries, history
// blocks, snapshots): unsigned varints, and strings behind their length.
type encoder struct{ buf []byte }

func (e *encoder) byte(b byte)     { e.buf = append(e.buf, b) }
func (e *encoder) uint(n uint64)   { e.buf = binary.AppendUvarint(e.buf, n) }
func (e *encoder) string(s string) { e.uint(uint64(len(s))); e.buf = append(e.buf, s...) }
func (e *encoder) bytes(b []byte)  { e.uint(uint64(len(b))); e.buf = append(e.buf, b...) }
func (e *encoder) fixed(b []byte)  { e.buf = append(e.buf, b...) }

func (e *encoder) bool(b bool) {
	if b {
		e.byte(1)
	} else {
		e.byte(0)
	}
}

var errMalformed = errors.New("malformed")

// decoder reads what encoder wrote. The first fault sticks: later reads give zero
// values, so callers check err once, at the end. What it
// allocates stays in proportion to the input.
type decoder struct {
	buf  []byte
	text string // if set, it ends with the bytes of buf, and strings are cut from it instead of made
	err  error
}

func (d *decoder) fail() {
	d.buf = nil
	if d.err == nil {
		d.err = errMalformed
	}
}

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail()
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

// bool accepts 0 and 1 only, so that every value has one encoding.
func (d *decoder) bool() bool {
	b := d.byte()
	if b > 1 {
		d.fail()
	}
	return b == 1
}

// uint accepts the shortest form only, so that every value has one encoding.
func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.buf)
	if size <= 0 || size > 1 && d.buf[size-1] == 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[size:]
	return n
}

// fixed returns the next n bytes, shared with the input.
func (d *decoder) fixed(n uint64) []byte {
	if n > uint64(len(d.buf)) {
		d.fail()
		return nil
	}
	b := d.buf[:n:n]
	d.buf = d.buf[n:]
	return b
}

func (d *decoder) bytes() []byte { return d.fixed(d.uint()) }

func (d *decoder) string() string {
	b := d.bytes()
	if d.text == "" {
		return string(b)
	}
	end := len(d.text) - len(d.buf) // after a fault buf is empty, and so is b
	return d.text[end-len(b) : end]
}

// count reads the length of a list whose elements take at least one byte each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.buf)) {
		d.fail()
		return 0
	}
	return int(n)
}

// countTo is count of a list that has no more than most elements.
func (d *decoder) countTo(most int) int {
	n := d.count()
	if n > most {
		d.fail()
		return 0
	}
	return n
}

func (d *decoder) hash() (h Hash) {
	copy(h[:], d.fixed(uint64(len(h))))
	return h
}

// finish returns the first fault, or one if input is left over.
func (d *decoder) finish() error {
	if d.err == nil && len(d.buf) > 0 {
		d.fail()
	}
	return d.err
}
