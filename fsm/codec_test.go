package fsm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// frameEntry builds an encoded entry by hand, from bodies of commands that need not
// be whole: format 1, no flags, CRC-32C, stamp, count, and each body behind its length.
func frameEntry(stamp uint64, bodies ...[]byte) []byte {
	body := binary.AppendUvarint(nil, stamp)
	body = binary.AppendUvarint(body, uint64(len(bodies)))
	for _, b := range bodies {
		body = append(binary.AppendUvarint(body, uint64(len(b))), b...)
	}
	return mendEntry(append([]byte{1, 0, 0, 0, 0, 0}, body...))
}

// mendEntry writes the checksum that fits what follows it.
func mendEntry(b []byte) []byte {
	sum := crc32.Checksum(b[:2], crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(b[2:], crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b[6:]))
	return b
}

func encodeEntry(t interface{ Fatal(...any) }, entry fsm.Entry) []byte {
	b, err := fsm.EncodeEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// randomEntry is an entry of commands as they come, with every field in use somewhere.
func randomEntry(throws dice) fsm.Entry {
	m := fsm.New()
	entry := fsm.Entry{Stamp: int64(throws(1 << 30))}
	throws.runLog(m, throws(12), func(s step, _ fsm.View, _ fsm.Result) {
		if s.command.Op != nil {
			entry.Commands = append(entry.Commands, s.command)
		}
	})
	return entry
}

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := randomEntry(rapidDice(t))
		b := encodeEntry(t, want)
		got, err := fsm.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		if !bytes.Equal(b, encodeEntry(t, got)) {
			t.Fatal("encoded again, the entry is other bytes")
		}
		for _, c := range want.Commands {
			body := fsm.EncodeCommand([]byte("before"), c)
			again, err := fsm.DecodeCommand(body[len("before"):])
			if d := cmp.Diff(c, again, cmpopts.EquateEmpty()); err != nil || d != "" {
				t.Fatal(err, d)
			}
		}
		if throughOwnFrame(want) != string(b) {
			t.Fatal("the layout is not the documented one")
		}
		if joined, err := fsm.JoinEntry(want.Stamp, bodies(want)); err != nil || !bytes.Equal(b, joined) {
			t.Fatal("joined from encoded commands, the entry is other bytes:", err)
		}
	})
}

// bodies are an entry's commands, each encoded on its own.
func bodies(entry fsm.Entry) (all [][]byte) {
	for _, c := range entry.Commands {
		all = append(all, fsm.EncodeCommand(nil, c))
	}
	return all
}

func throughOwnFrame(entry fsm.Entry) string {
	return string(frameEntry(uint64(entry.Stamp), bodies(entry)...))
}

// bigEntry is one that is large enough to be compressed.
func bigEntry() fsm.Entry {
	c := manyEntities(3000)
	m := c.Op.(fsm.Migrate)
	for i := range m.Entities {
		m.Entities[i].Description = strings.Repeat("text ", 20)
	}
	return fsm.Entry{Stamp: 1_700_000_000_000, Commands: []fsm.Command{c}}
}

func TestLargeEntriesAreCompressed(t *testing.T) {
	entry := bigEntry()
	b := encodeEntry(t, entry)
	plain := throughOwnFrame(entry)
	if len(plain) < 256<<10 || len(b) > len(plain)/5 {
		t.Errorf("an entry of %d bytes takes %d", len(plain), len(b))
	}
	got, err := fsm.DecodeEntry(b)
	if d := cmp.Diff(entry, got, cmpopts.EquateEmpty()); err != nil || d != "" {
		t.Error(err, d)
	}
	if again, err := fsm.DecodeEntry([]byte(plain)); err != nil || cmp.Diff(got, again) != "" {
		t.Error("not compressed, the entry reads differently:", err)
	}
	small := encodeEntry(t, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(0)}})
	if small[1] != 0 {
		t.Error("a small entry is compressed")
	}
}

// TestEveryFlippedBitIsDetected damages an entry in each of its bits.
func TestEveryFlippedBitIsDetected(t *testing.T) {
	entries := []fsm.Entry{{}, {Stamp: 1, Commands: []fsm.Command{founding(0)}}, randomEntry(seededDice(1)), randomEntry(seededDice(2)), bigEntry()}
	for n, entry := range entries {
		b := encodeEntry(t, entry)
		want, err := fsm.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		stride := 1 + len(b)/2000 // of the large one, a part is enough
		for at := 0; at < len(b); at++ {
			if at > 64 && at%stride != 0 {
				continue
			}
			for bit := range 8 {
				b[at] ^= 1 << bit
				got, err := fsm.DecodeEntry(b)
				known := errors.Is(err, fsm.ErrChecksum) || errors.Is(err, fsm.ErrNewerFormat) || errors.Is(err, fsm.ErrBadEntry)
				if !known && (err != nil || cmp.Diff(want, got) != "") {
					t.Fatalf("entry %d, byte %d, bit %d: read as another entry, or %v", n, at, bit, err)
				}
				b[at] ^= 1 << bit
			}
		}
		for size := range min(len(b), 2000) {
			if _, err := fsm.DecodeEntry(b[:size]); err == nil {
				t.Fatalf("entry %d: its first %d bytes of %d are accepted", n, size, len(b))
			}
		}
	}
}

// TestDecodeEntryFaults names the error of each kind of fault, as a node acts on it. What has
// no error is refused by the machine, on every node.
func TestDecodeEntryFaults(t *testing.T) {
	good := fsm.EncodeCommand(nil, founding(0))
	frame := func(change func(b []byte) []byte) []byte { return change(frameEntry(1, good)) }
	for name, row := range map[string]struct {
		entry []byte
		want  error
	}{
		"empty":               {nil, fsm.ErrBadEntry},
		"a header's part":     {[]byte{1, 0, 0}, fsm.ErrBadEntry},
		"format 0":            {frame(func(b []byte) []byte { b[0] = 0; return b }), fsm.ErrBadEntry},
		"format 2":            {frame(func(b []byte) []byte { b[0] = 2; return b }), fsm.ErrNewerFormat},
		"format 2, one byte":  {[]byte{2}, fsm.ErrNewerFormat},
		"a newer flag":        {frame(func(b []byte) []byte { b[1] = 2; return mendEntry(b) }), fsm.ErrNewerFormat},
		"all flags":           {frame(func(b []byte) []byte { b[1] = 0xff; return mendEntry(b) }), fsm.ErrNewerFormat},
		"not compressed":      {frame(func(b []byte) []byte { b[1] = 1; return mendEntry(b) }), nil},
		"checksum":            {frame(func(b []byte) []byte { b[5]++; return b }), fsm.ErrChecksum},
		"body":                {frame(func(b []byte) []byte { b[len(b)-1]++; return b }), fsm.ErrChecksum},
		"trailing byte":       {frame(func(b []byte) []byte { return mendEntry(append(b, 0)) }), nil},
		"count too large":     {frame(func(b []byte) []byte { b[7] = 2; return mendEntry(b) }), nil},
		"count forged":        {mendEntry([]byte{1, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}), nil},
		"long varint":         {mendEntry([]byte{1, 0, 0, 0, 0, 0, 0x81, 0, 0}), nil},
		"a newer command":     {frameEntry(1, []byte{200, 1, 2, 3}), fsm.ErrNewerFormat},
		"a newer one besides": {frameEntry(1, good, []byte{18, 0, 0, 0, 0}, good), fsm.ErrNewerFormat},
		"an unused kind":      {frameEntry(1, []byte{6}), fsm.ErrNewerFormat},
		"compressed, forged":  {mendEntry([]byte{1, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}), nil},
		"compressed, shorter": {mendEntry([]byte{1, 1, 0, 0, 0, 0, 9, 1, 0, 0, 0xff, 0xff}), nil},
	} {
		entry, err := fsm.DecodeEntry(row.entry)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		if row.want != nil {
			continue
		}
		m := fsm.New()
		if results := m.Apply(1, entry); len(results) != 1 || results[0].Refusal == nil || m.View().Malformed() != 1 {
			t.Errorf("%s: refused as %+v, and counted %d times", name, results, m.View().Malformed())
		}
	}
}

// TestMalformedCommandIsRefused gives a machine a command whose frame is whole and
// whose body is not: it is counted and refused, and those around it are carried out.
func TestMalformedCommandIsRefused(t *testing.T) {
	good := fsm.EncodeCommand(nil, manyEntities(2))
	tooMany := fsm.EncodeCommand(nil, fsm.Command{Registry: "r", Op: fsm.Batch{Requests: make([]fsm.Bump, fsm.MaxBatch+1)}})
	faults := [][]byte{
		{}, {1}, {byte(fsm.KindPut)}, good[:len(good)-1], append(bytes.Clone(good), 0), tooMany,
		append(append([]byte{byte(fsm.KindDelete)}, "\x01r\x00\x00"...), 2, 0), // a boolean of 2
		append([]byte{byte(fsm.KindMigrate)}, "\x01r\x00\x00\x00\x01s\xff\xff\xff\xff\x0f"...),
	}
	bodies := [][]byte{fsm.EncodeCommand(nil, founding(0)), good}
	bodies = append(append(bodies, faults...), fsm.EncodeCommand(nil, fsm.Command{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Patch, Cascade: true}}))
	entry, err := fsm.DecodeEntry(frameEntry(1, bodies...))
	if err != nil {
		t.Fatal(err)
	}
	m := fsm.New()
	results := m.Apply(1, entry)
	for i, result := range results[2 : 2+len(faults)] {
		if r := result.Refusal; r == nil || r.Code != fsm.CodeInvalidRequest || r.Item != -1 || result.Transaction != nil {
			t.Errorf("fault %d: %+v", i, result)
		}
		if result.Refusal.Error() == "" {
			t.Errorf("fault %d has no message", i)
		}
	}
	if last := results[len(results)-1]; last.Revision != 2 || len(last.Transaction.Changes) != 3 {
		t.Errorf("the command after them: %+v", last)
	}
	if got := m.View().Malformed(); got != uint64(len(faults)) {
		t.Errorf("%d are counted, want %d", got, len(faults))
	}
	if again := restore(t, snapshot(t, m.View())); again.View().Malformed() != uint64(len(faults)) {
		t.Error("the count is not in the snapshot")
	}
}

func TestApplyRefusesToGoBack(t *testing.T) {
	m := fsm.New()
	m.Apply(5, fsm.Entry{})
	for _, index := range []uint64{5, 4, 0} {
		func() {
			defer func() {
				if fmt.Sprint(recover()) != fmt.Sprintf("fsm: entry %d applied after 5", index) {
					t.Errorf("entry %d after 5 was applied", index)
				}
			}()
			m.Apply(index, fsm.Entry{})
		}()
	}
	if m.View().Index() != 5 {
		t.Error("the index moved")
	}
}
