package fsm_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tesd/tesd/fsm"
)

// fuzzMost bounds the input of a fuzz target: what is larger only takes longer.
const fuzzMost = 16 << 10

func FuzzDecodeEntry(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(encodeEntry(f, randomEntry(seededDice(seed))))
	}
	f.Add(frameEntry(1, nil, []byte{1}, fsm.EncodeCommand(nil, founding(3))))
	packed := encodeEntry(f, bigEntry())
	f.Add(packed[:min(len(packed), fuzzMost)])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > fuzzMost {
			return
		}
		fsm.DecodeEntry(b)
		if len(b) < 6 {
			return
		}
		entry, err := fsm.DecodeEntry(mendEntry(b))
		if err != nil {
			return
		}
		for i := range entry.Commands {
			if entry.Commands[i].Kind() == 0 {
				return // a malformed command keeps nothing to encode
			}
		}
		again, err := fsm.DecodeEntry(encodeEntry(t, entry))
		if d := cmp.Diff(entry, again, cmpopts.EquateEmpty()); err != nil || d != "" {
			t.Fatal("encoded again, the entry reads differently:", err, d)
		}
	})
}

func FuzzDecodeCommand(f *testing.F) {
	for seed := range uint64(8) {
		for _, c := range randomEntry(seededDice(seed)).Commands {
			f.Add(fsm.EncodeCommand(nil, c))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := fsm.DecodeCommand(b)
		if err != nil {
			return
		}
		if again := fsm.EncodeCommand(nil, c); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v, which is written %x", b, c, again)
		}
		c.Check()
	})
}

// FuzzRestore never panics, on a snapshot as it comes and on one with its checksums
// mended, and a machine that it gives out works.
func FuzzRestore(f *testing.F) {
	for _, m := range []*fsm.Machine{fsm.New(), smallMachine(0, 1), smallMachine(2, 5), smallMachine(1, 300)} {
		b := snapshot(f, m.View())
		f.Add(b)
		f.Add(b[:len(b)/2])
		damaged := bytes.Clone(b)
		damaged[len(b)/3] ^= 0x40
		f.Add(damaged)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > fuzzMost {
			return
		}
		tryRestore(t, b)
		if all, ok := sections(b); ok {
			tryRestore(t, join(all))
		}
	})
}

func tryRestore(t *testing.T, b []byte) {
	m, err := fsm.Restore(bytes.NewReader(b))
	if err != nil {
		return
	}
	again := restore(t, snapshot(t, m.View()))
	if dump(t, again.View()) != dump(t, m.View()) {
		t.Fatal("restored once more, the content differs")
	}
	throws := seededDice(1)
	if m.View().Index() < 1<<62 {
		for i := range uint64(20) {
			m.Apply(m.View().Index()+1, fsm.Entry{Stamp: int64(i), Commands: []fsm.Command{throws.command(m.View())}})
		}
		snapshot(t, m.View())
	}
}

// FuzzApply makes commands of the bytes in two ways: as throws of dice, and as they
// decode. Two machines, one of them restored on the way, end in the same state.
func FuzzApply(f *testing.F) {
	for seed := range uint64(6) {
		throws := seededDice(seed)
		b := make([]byte, 400)
		for i := range b {
			b[i] = byte(throws(256))
		}
		var command []byte
		for _, c := range randomEntry(throws).Commands {
			command = fsm.EncodeCommand(nil, c)
		}
		f.Add(b, command)
	}
	f.Add([]byte{}, fsm.EncodeCommand(nil, fsm.Command{Op: fsm.Genesis{}}))
	f.Fuzz(func(t *testing.T, b, command []byte) {
		if len(b)+len(command) > fuzzMost {
			return
		}
		one, other := fsm.New(), fsm.New()
		index := uint64(0)
		apply := func(entry fsm.Entry) {
			index++
			got, again := one.Apply(index, entry), other.Apply(index, entry)
			for i := range got {
				if throughLog(got[i]) != throughLog(again[i]) {
					t.Fatalf("%+v is answered in two ways:\n%s\n%s", entry.Commands[i], throughLog(got[i]), throughLog(again[i]))
				}
			}
		}
		if c, err := fsm.DecodeCommand(command); err == nil {
			apply(fsm.Entry{Stamp: 1, Commands: []fsm.Command{c, c}})
			apply(fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(2), c, c}})
			c.Key = "key"
			apply(fsm.Entry{Stamp: 1, Commands: []fsm.Command{c, c}})
		}
		throws := bytesDice(&b)
		for rounds := 0; len(b) > 0 && rounds < 200; rounds++ {
			apply(fsm.Entry{Stamp: int64(rounds), Commands: []fsm.Command{throws.command(one.View())}})
			if throws.rarely(32) {
				other = restore(t, snapshot(t, other.View()))
			}
		}
		other = restore(t, snapshot(t, other.View()))
		if dump(t, one.View()) != dump(t, other.View()) {
			t.Fatal("two machines differ")
		}
	})
}
