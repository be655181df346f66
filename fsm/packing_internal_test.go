package fsm

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"
)

// TestUnpack gives back what was packed, and takes nothing that says another size than it has.
func TestUnpack(t *testing.T) {
	var p packer
	var u unpacker
	whole := bytes.Repeat([]byte("a record of the history, "), 100)
	packed := p.pack(whole)
	p.pack([]byte("what is packed next must leave the last alone"))
	if got, err := u.unpack(packed, uint64(len(whole))); err != nil || !bytes.Equal(got, whole) {
		t.Fatalf("%d bytes came back as %d, %v", len(whole), len(got), err)
	}
	huge := binary.AppendUvarint(nil, 1<<32-1)
	mega, last := p.pack(make([]byte, 1<<20)), p.pack([]byte{0})
	zeros, err := s2.ConcatBlocks(nil, append(slices.Repeat([][]byte{mega}, maxBody>>20), last)...)
	if n, lenErr := s2.DecodedLen(zeros); err != nil || lenErr != nil || n != maxBody+1 {
		t.Fatalf("a block that is too large has %d bytes, %v, %v", n, err, lenErr)
	}
	for name, c := range map[string]struct {
		packed []byte
		size   uint64
	}{
		"one byte less":    {packed, uint64(len(whole)) - 1},
		"one byte more":    {packed, uint64(len(whole)) + 1},
		"nothing":          {nil, 0},
		"a length alone":   {binary.AppendUvarint(nil, 9), 9},
		"too large":        {huge, 1<<32 - 1},
		"above the limit":  {zeros, maxBody + 1},
		"cut":              {packed[:len(packed)-1], uint64(len(whole))},
		"more at the end":  {append(slices.Clone(packed), 0), uint64(len(whole))},
		"damaged in front": {append([]byte{packed[0] ^ 1}, packed[1:]...), uint64(len(whole))},
	} {
		if got, err := u.unpack(c.packed, c.size); err == nil {
			t.Errorf("%s: %d bytes came back", name, len(got))
		}
	}
}
