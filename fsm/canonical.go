package fsm

import (
	"strconv"
	"unicode/utf8"
)

// Canonical JSON (RFC 8785) is written by hand here: the bytes are hashed and
// signed, so no library's change of mind may reach them. All our object names are
// ASCII and written in sorted order by the callers, and all our numbers are
// integers below 2^53 or versions kept as strings, which leaves one rule to
// implement: how strings are escaped.

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string by RFC 8785, section 3.2.2.2: only the
// quote, the backslash and the control characters are escaped. s is valid UTF-8.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[start:]...), '"')
}

// object writes the members of one JSON object. Callers add them in the order of
// their names.
type object struct {
	dst   []byte
	empty bool
}

func openObject(dst []byte) object { return object{append(dst, '{'), true} }

func (o *object) name(name string) {
	if !o.empty {
		o.dst = append(o.dst, ',')
	}
	o.empty = false
	o.dst = append(append(append(o.dst, '"'), name...), '"', ':')
}

func (o *object) string(name, value string) {
	o.name(name)
	o.dst = appendString(o.dst, value)
}

// optional adds a string member that is left out when empty.
func (o *object) optional(name, value string) {
	if value != "" {
		o.string(name, value)
	}
}

func (o *object) bool(name string, value bool) {
	o.name(name)
	o.dst = strconv.AppendBool(o.dst, value)
}

func (o *object) uint(name string, value uint64) {
	o.name(name)
	o.dst = strconv.AppendUint(o.dst, value, 10)
}

func (o *object) close() []byte { return append(o.dst, '}') }

// appendArray appends the JSON array of n elements that element appends.
func appendArray(dst []byte, n int, element func(dst []byte, i int) []byte) []byte {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = element(dst, i)
	}
	return append(dst, ']')
}

func validText(s string) bool { return utf8.ValidString(s) }
