package cluster

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// Messages that are sent with every request of a user have a compact form: unsigned
// varints, and strings behind their length. The others travel as JSON.

// compact is a message that has a form of its own.
type compact interface {
	encode(dst []byte) []byte
	decode(d *decoder)
}

var _, _, _, _, _, _ compact = (*proposeCall)(nil), (*proposeReply)(nil), (*readIndexCall)(nil), (*readIndexReply)(nil),
	(*termCall)(nil), (*termReply)(nil)

// appendMessage appends the message that m points to, or an error.
func appendMessage(dst []byte, m any) ([]byte, error) {
	switch m := m.(type) {
	case compact:
		return m.encode(dst), nil
	case callError:
		return append(dst, m...), nil
	}
	b, err := json.Marshal(m)
	return append(dst, b...), err
}

// decodeMessage reads into m what appendMessage wrote. What m has of bytes is cut from b.
func decodeMessage(b []byte, m any) error {
	if c, ok := m.(compact); ok {
		d := decoder{buf: b}
		c.decode(&d)
		return d.finish()
	}
	if err := json.Unmarshal(b, m); err != nil {
		return fmt.Errorf("%w: %w", errMalformed, err)
	}
	return nil
}

func (c *proposeCall) encode(dst []byte) []byte {
	dst = appendString(dst, c.To)
	dst = appendString(dst, c.From)
	dst = binary.AppendUvarint(dst, uint64(len(c.Commands)))
	for i, command := range c.Commands {
		dst = appendString(dst, command)
		dst = binary.AppendUvarint(dst, uint64(c.Reach[i]))
		dst = appendString(dst, c.Requests[i])
	}
	return dst
}

func (c *proposeCall) decode(d *decoder) {
	c.To, c.From = raft.ServerID(d.string()), d.string()
	n := d.uintTo(fsm.MaxCommands)
	c.Commands, c.Reach, c.Requests = make([][]byte, n), make([]int, n), make([]string, n)
	for i := range n {
		c.Commands[i], c.Reach[i], c.Requests[i] = d.bytes(), int(d.uintTo(math.MaxInt32)), d.string()
	}
}

func (r *proposeReply) encode(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.Outcomes)))
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		dst = append(dst, byte(o.Fault))
		dst = appendString(dst, o.Detail)
		dst = appendString(dst, o.Result)
	}
	return dst
}

func (r *proposeReply) decode(d *decoder) {
	r.Outcomes = make([]forwarded, d.uintTo(fsm.MaxCommands))
	for i := range r.Outcomes {
		r.Outcomes[i] = forwarded{Fault: fault(d.byte()), Detail: d.string(), Result: d.bytes()}
	}
}

func (c *readIndexCall) encode(dst []byte) []byte {
	return binary.AppendUvarint(appendString(dst, c.From), c.Term)
}

func (c *readIndexCall) decode(d *decoder) { c.From, c.Term = raft.ServerID(d.string()), d.uint() }

func (r *readIndexReply) encode(dst []byte) []byte {
	dst = append(binary.AppendUvarint(dst, r.Index), byte(r.Fault))
	return appendString(dst, r.Detail)
}

func (r *readIndexReply) decode(d *decoder) {
	r.Index, r.Fault, r.Detail = d.uint(), fault(d.byte()), d.string()
}

func (*termCall) encode(dst []byte) []byte { return dst }
func (*termCall) decode(*decoder)          {}

func (r *termReply) encode(dst []byte) []byte {
	return binary.AppendUvarint(appendString(dst, r.ID), r.Term)
}

func (r *termReply) decode(d *decoder) { r.ID, r.Term = raft.ServerID(d.string()), d.uint() }

func appendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// errMalformed says that what came is no message.
var errMalformed = errors.New("it is not well-formed")

// decoder reads compact messages. The first fault sticks: later reads give zero values. A
// list is no longer than an entry's, whatever is said of it.
type decoder struct {
	buf []byte
	err error
}

func (d *decoder) fail() { d.buf, d.err = nil, errMalformed }

func (d *decoder) byte() byte {
	if len(d.buf) == 0 {
		d.fail()
		return 0
	}
	b := d.buf[0]
	d.buf = d.buf[1:]
	return b
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.buf)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.buf = d.buf[size:]
	return n
}

// uintTo reads a number that is not above most.
func (d *decoder) uintTo(most uint64) uint64 {
	n := d.uint()
	if n > most {
		d.fail()
		return 0
	}
	return n
}

// bytes are shared with the input.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n > uint64(len(d.buf)) {
		d.fail()
		return nil
	}
	b := d.buf[:n:n]
	d.buf = d.buf[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

// finish returns the first fault, or one if input is left over.
func (d *decoder) finish() error {
	if len(d.buf) > 0 {
		d.fail()
	}
	return d.err
}
