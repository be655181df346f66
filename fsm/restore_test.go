package fsm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/tesd/tesd/fsm"
)

const snapshotMagic = "tesd snapshot 3\n"

// section is one of a snapshot's, as its layout is documented.
type section struct {
	kind    byte
	payload []byte
}

// sections takes a snapshot apart. Checksums are not looked at.
func sections(b []byte) (all []section, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte(snapshotMagic))
	for ok && len(b) > 0 {
		kind := b[0]
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)) || uint64(len(b)) < uint64(1+n)+size+4 {
			return nil, false
		}
		all = append(all, section{kind, b[1+n : 1+uint64(n)+size]})
		b = b[1+uint64(n)+size+4:]
	}
	return all, ok
}

// join puts sections together to a snapshot with fitting checksums.
func join(all []section) []byte {
	b := []byte(snapshotMagic)
	for _, s := range all {
		b = append(binary.AppendUvarint(append(b, s.kind), uint64(len(s.payload))), s.payload...)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(s.payload, crc32.MakeTable(crc32.Castagnoli)))
	}
	return b
}

// smallMachine has a bit of everything: registries, a deleted entity, keys of all
// sorts, a sealed block and an open one, and a history with a beginning that is gone.
func smallMachine(keep uint64, bumps int) *fsm.Machine {
	m := fsm.New()
	commands := []fsm.Command{
		founding(keep), manyEntities(2),
		{Registry: defaultRegistry, Op: fsm.Delete{EntityID: "component:1"}},
		{Registry: "other", Key: "k1", Op: fsm.Put{Entity: fsm.Entity{ID: "a", Type: fsm.TypeGlobal, CurrentVersion: "1.0",
			UpdateStrategy: fsm.Independent, DisplayName: "A", Files: []fsm.File{{Path: "a", Pattern: "(.*)", Required: true}}}}},
		{Registry: "none", Key: "k2", Op: fsm.Delete{EntityID: "a"}},
		{Registry: "other", Key: "k3", Op: fsm.Migrate{Source: "test"}},
		{Registry: "other", Key: "k4", Op: fsm.Put{Entity: fsm.Entity{ID: "b", Type: fsm.TypeGlobal, CurrentVersion: "x",
			UpdateStrategy: fsm.LinkedToParent, DisplayName: "B"}}},
	}
	for i := range bumps {
		commands = append(commands, fsm.Command{Registry: defaultRegistry, Actor: "ci", Op: fsm.Bump{Scope: fsm.Scope(1 + i%3), EntityID: "global:main", Cascade: true}})
	}
	m.Apply(1, fsm.Entry{Stamp: 1_700_000_000_000, Commands: commands})
	return m
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, m := range []*fsm.Machine{fsm.New(), smallMachine(0, 0), smallMachine(0, 700), smallMachine(3, 700), smallMachine(300, 700)} {
		b := snapshot(t, m.View())
		again := restore(t, b)
		if !bytes.Equal(b, snapshot(t, again.View())) {
			t.Error("the snapshot of the restored machine is other bytes")
		}
		if dump(t, again.View()) != dump(t, m.View()) || again.View().Index() != m.View().Index() {
			t.Error("the restored machine has another content")
		}
		loaded, err := fsm.Load(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if dump(t, loaded.View()) != dump(t, m.View()) || !bytes.Equal(b, snapshot(t, loaded.View())) {
			t.Error("the loaded machine has another content")
		}
	}
}

// TestRestoreRejectsDamage flips a bit in every byte of a snapshot and cuts it off at
// every length.
func TestRestoreRejectsDamage(t *testing.T) {
	m := fsm.New()
	apply(m, founding(0), fsm.Command{Registry: defaultRegistry, Key: "k", Op: fsm.Put{Entity: valid("a", "")}},
		fsm.Command{Registry: defaultRegistry, Key: "l", Op: fsm.Delete{EntityID: "b"}})
	b := snapshot(t, m.View())
	t.Logf("a snapshot of %d bytes", len(b))
	if _, ok := sections(b); !ok {
		t.Fatal("the layout is not the documented one")
	}
	reject := func(b []byte, what string, at int) {
		for _, read := range []func(io.Reader) (*fsm.Machine, error){fsm.Restore, fsm.Load} {
			if _, err := read(bytes.NewReader(b)); !errors.Is(err, fsm.ErrBadSnapshot) {
				t.Errorf("%s %d: %v", what, at, err)
			}
		}
	}
	for i := range b {
		b[i] ^= 1 << (i % 8)
		reject(b, "flipped byte", i)
		b[i] ^= 1 << (i % 8)
	}
	for size := range b {
		reject(b[:size], "cut off at", size)
	}
}

// signed is what hashes vouch for: the entities, and all payloads. It returns an error if the
// history cannot be read.
func signed(v fsm.View) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%x\n", v.StateHash())
	for r := range v.Registries() {
		for e := range r.Entities("") {
			b.Write(e.AppendJSON(nil))
		}
		for tx, err := range r.History(0) {
			if err != nil {
				return "", err
			}
			b.Write(tx.Payload())
		}
	}
	return b.String(), nil
}

// TestRestoreRejectsLies changes what sections say and mends their checksums: the
// structure, the hash chain and the state hash still tell. What they do not tell is
// the index, the clocks, and what a receipt does not sign: the key's id and the items of a
// batch. Of a snapshot that is only loaded, those who read the history find some.
func TestRestoreRejectsLies(t *testing.T) {
	late := 0
	defer func() {
		if late == 0 {
			t.Error("no lie was left to those who read the history")
		}
	}()
	for name, m := range map[string]*fsm.Machine{"small": smallMachine(0, 2), "limited": smallMachine(300, 600)} {
		truth, err := signed(m.View())
		if err != nil {
			t.Fatal(err)
		}
		check := func(forged []section, what string, i int) {
			file := join(forged)
			for _, trusting := range []bool{false, true} {
				read := map[bool]func(io.Reader) (*fsm.Machine, error){false: fsm.Restore, true: fsm.Load}[trusting]
				again, err := read(bytes.NewReader(file))
				if errors.Is(err, fsm.ErrBadSnapshot) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				told, err := signed(again.View())
				if trusting && err != nil {
					late++
				} else if err != nil || told != truth {
					t.Errorf("%s: section %d of type %d %s, trusting %t: %v", name, i, forged[i].kind, what, trusting, err)
				}
			}
		}
		whole, _ := sections(snapshot(t, m.View()))
		for i, s := range whole {
			for at := 0; at < len(s.payload); at += 1 + len(s.payload)/25 {
				s.payload[at] ^= 1
				check(whole, fmt.Sprintf("with byte %d flipped", at), i)
				s.payload[at] ^= 1
			}
			if i == len(whole)-1 {
				break
			}
			check(append(slices.Clone(whole[:i]), whole[i+1:]...), "missing", i)
			check(append(slices.Clone(whole[:i+1]), whole[i:]...), "twice", i)
			check(append(slices.Clone(whole[:len(whole)-1]), s, whole[len(whole)-1]), "again at the end", i)
		}
	}
}

// TestLoadedBlocksAreProven has a full block say something else, as memory that fails would have a node write
// it, under a checksum that fits. Restore refuses it, and of what was loaded nothing of the block is
// handed out.
func TestLoadedBlocksAreProven(t *testing.T) {
	whole, _ := sections(snapshot(t, smallMachine(0, 700).View()))
	i := slices.IndexFunc(whole, func(s section) bool { return s.kind == 4 && s.payload[0] == 1 }) // the first full block
	if i < 0 {
		t.Fatal("there is no full block")
	}
	s := whole[i].payload
	head := 1
	for range 2 { // its first revision, and how many it has
		_, n := binary.Uvarint(s[head:])
		head += n
	}
	head += 32 // the hash before it
	_, n := binary.Uvarint(s[head:])
	head += n
	_, n = binary.Uvarint(s[head:]) // bytes follow
	records, err := s2.Decode(nil, s[head+n:])
	if err != nil {
		t.Fatal(err)
	}
	forged := s2.Encode(nil, bytes.Replace(records, []byte("\x02ci"), []byte("\x02cj"), 1))
	whole[i].payload = append(binary.AppendUvarint(slices.Clone(s[:head]), uint64(len(forged))), forged...)
	file := join(whole)
	if _, err := fsm.Restore(bytes.NewReader(file)); !errors.Is(err, fsm.ErrBadSnapshot) {
		t.Errorf("restored: %v", err)
	}
	m, err := fsm.Load(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := m.View().Registry(defaultRegistry)
	for _, revision := range []uint64{2, 100, 255, 256} {
		if _, err := r.Transaction(revision); err == nil || !strings.Contains(err.Error(), "does not lead to the one after it") {
			t.Errorf("revision %d: %v", revision, err)
		}
	}
	if _, err := r.Transaction(300); err != nil {
		t.Errorf("a revision of another block: %v", err)
	}
}

func TestRestoreOfNoSnapshot(t *testing.T) {
	for _, b := range []string{"", "tesd", "tesd snapshot 1\n", snapshotMagic, snapshotMagic + "\x06\x00\x00\x00\x00\x00", snapshotMagic + "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, err := fsm.Restore(bytes.NewReader([]byte(b))); !errors.Is(err, fsm.ErrBadSnapshot) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// TestRestoreOfAnotherFormat tells a snapshot of another build from a damaged one.
func TestRestoreOfAnotherFormat(t *testing.T) {
	_, err := fsm.Restore(strings.NewReader("tesd snapshot 1\n\x01\x02"))
	if err == nil || !strings.Contains(err.Error(), `it is of format "tesd snapshot 1", and this build of tesd reads "tesd snapshot 3" and the one before`) {
		t.Errorf("got %v", err)
	}
}

// TestRestoreOfTheFormatBefore reads a snapshot of [smallMachine] that a build of format 2 wrote.
func TestRestoreOfTheFormatBefore(t *testing.T) {
	old, err := os.ReadFile("testdata/snapshot-2.bin")
	if err != nil {
		t.Fatal(err)
	}
	want := smallMachine(0, 300)
	for name, read := range map[string]func(io.Reader) (*fsm.Machine, error){"restore": fsm.Restore, "load": fsm.Load} {
		m, err := read(bytes.NewReader(old))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if dump(t, m.View()) != dump(t, want.View()) || !bytes.Equal(snapshot(t, m.View()), snapshot(t, want.View())) {
			t.Errorf("%s: the machine has another content", name)
		}
	}
}

// brokenPipe fails after so many bytes.
type brokenPipe struct{ left int }

func (w *brokenPipe) Write(b []byte) (int, error) {
	if len(b) > w.left {
		n := w.left
		w.left = 0
		return n, io.ErrClosedPipe
	}
	w.left -= len(b)
	return len(b), nil
}

func TestWriteToPassesErrorsOn(t *testing.T) {
	m := smallMachine(0, 6_000) // larger than a buffer
	size := len(snapshot(t, m.View()))
	for left := 0; left < size; left += size / 5 {
		if _, err := m.View().WriteTo(&brokenPipe{left}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("after %d bytes of %d: %v", left, size, err)
		}
	}
}

func ExampleView_WriteTo() {
	var file bytes.Buffer
	m := smallMachine(0, 3)
	if _, err := m.View().WriteTo(&file); err != nil {
		fmt.Println(err)
	}
	again, err := fsm.Restore(&file)
	fmt.Println(err, again.View().StateHash() == m.View().StateHash())
	// Output: <nil> true
}
