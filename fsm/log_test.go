package fsm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// The log that testdata holds, and a hash over the states and answers that it leads to, one
// after the other, so that nothing that happens on the way can differ unseen. The format
// of entries is frozen at the first tagged release: from then on these two files never
// change again, and a build that reads them differently is wrong. Until then, a change
// of the format rewrites them, with -rewrite.
const (
	storedLog  = "testdata/log-v1.bin"
	storedHash = "testdata/log-v1.hash"
)

// generateLog makes a log of all kinds of commands, large and small entries, and some
// that cannot be read. Each entry stands behind its length.
func generateLog(t *testing.T) []byte {
	var log []byte
	add := func(entry []byte) { log = append(binary.AppendUvarint(log, uint64(len(entry))), entry...) }
	throws, m := seededDice(41), fsm.New()
	add(encodeEntry(t, fsm.Entry{Stamp: 1_600_000_000_000, Commands: []fsm.Command{founding(60)}}))
	apply(m, founding(60))
	throws.runLog(m, 400, func(s step, _ fsm.View, _ fsm.Result) {
		if n, err := fsm.EncodeEntry(s.entry()); err != nil {
			t.Fatal(err)
		} else {
			add(n)
		}
	})
	add(frameEntry(1_900_000_000_000, nil, []byte{byte(fsm.KindBump)}, fsm.EncodeCommand(nil, founding(0))))
	big := bigEntry()
	big.Commands[0].Registry = "big"
	add(encodeEntry(t, big))
	for i := range 600 {
		add(encodeEntry(t, fsm.Entry{Stamp: 1_900_000_000_000, Commands: []fsm.Command{{Registry: "big", Actor: "ci", Op: fsm.Bump{
			Scope: fsm.Patch, EntityID: pick(throws, "component:1", "component:2", "component:3"), Cascade: i%2 == 0}}}}))
	}
	// Keys of each kind of answer, which are there at the end.
	absent := fsm.Entity{ID: "absent", Type: fsm.TypeComponent, UpdateStrategy: fsm.LinkedToParent, ParentVersionID: "nobody", CurrentVersion: "1", DisplayName: "Absent"}
	sound := fsm.Entity{ID: "sound", Type: fsm.TypeGlobal, UpdateStrategy: fsm.Independent, CurrentVersion: "1.0", DisplayName: "Sound"}
	same := sound
	same.CurrentVersion = ""
	old := uint64(0)
	for range 2 { // and again
		for i, c := range []fsm.Command{
			{Registry: "keys", Op: fsm.Put{Entity: sound}},
			{Registry: "keys", Op: fsm.Put{Entity: same}},
			{Registry: "keys", Op: fsm.Put{Entity: absent}},
			{Registry: "keys", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "nobody", Cascade: true}},
			{Registry: "keys", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "sound", Cascade: true, ExpectedVersion: "7"}},
			{Registry: "keys", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "sound", Cascade: true}, IfMatch: &old},
			{Registry: "keys", Op: fsm.Batch{Requests: []fsm.Bump{{Scope: fsm.Minor, EntityID: "sound"}}}},
			{Registry: "keys", Op: fsm.Delete{EntityID: "sound"}},
			{Registry: "keys", Op: fsm.Put{Entity: sound, CreateOnly: true}},
			{Registry: "keys", Op: fsm.Migrate{Source: "test", Entities: []fsm.Entity{sound}}},
			{Registry: "imported", Op: fsm.Migrate{Source: "test", Entities: []fsm.Entity{sound}}},
			{Registry: "none", Op: fsm.Delete{EntityID: "sound"}},
		} {
			c.Actor, c.Key = "ci", fmt.Sprint("last ", i)
			add(encodeEntry(t, fsm.Entry{Stamp: 1_900_000_000_001, Commands: []fsm.Command{c}}))
		}
	}
	return log
}

// answerText is what counts of an answer: all but the words.
func answerText(r fsm.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %d %v\n", r.Registry, r.Revision, r.Replayed)
	if f := r.Refusal; f != nil {
		fmt.Fprintf(&b, "%s %q %q %d %q %q %v\n", f.Code, f.Registry, f.EntityID, f.Item, f.Expected, f.Actual, f.Deleted)
		for _, finding := range f.Findings {
			fmt.Fprintf(&b, "%s %q\n", finding.Code, finding.EntityID)
		}
	}
	if t := r.Transaction; t != nil {
		fmt.Fprintf(&b, "%s %s %v %x\n", t.Payload(), t.KeyID, t.Items, t.Hash)
	}
	for _, e := range r.Entities {
		b.Write(e.AppendJSON(nil))
	}
	return b.String()
}

// replayLog applies a stored log, and restores the machine on the way if told to. It returns
// a hash over all states and answers.
func replayLog(t *testing.T, log []byte, restoreEvery uint64) (*fsm.Machine, fsm.Hash) {
	m, all := fsm.New(), sha256.New()
	for index := uint64(1); len(log) > 0; index++ {
		size, n := binary.Uvarint(log)
		entry, err := fsm.DecodeEntry(log[n : n+int(size)])
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		for _, result := range m.Apply(index, entry) {
			io.WriteString(all, answerText(result))
		}
		state := m.View().StateHash()
		all.Write(state[:])
		log = log[n+int(size):]
		if restoreEvery > 0 && index%restoreEvery == 0 {
			m = restore(t, snapshot(t, m.View()))
		}
	}
	return m, fsm.Hash(all.Sum(nil))
}

func TestStoredLog(t *testing.T) {
	if *rewrite {
		log := generateLog(t)
		_, hash := replayLog(t, log, 0)
		for file, b := range map[string][]byte{storedLog: log, storedHash: []byte(hex.EncodeToString(hash[:]) + "\n")} {
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	log, err := os.ReadFile(storedLog)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(storedHash)
	if err != nil {
		t.Fatal(err)
	}
	m, hash := replayLog(t, log, 0)
	if got := hex.EncodeToString(hash[:]); got != strings.TrimSpace(string(want)) {
		t.Errorf("replay of the stored log gives the hash %s, want %s", got, want)
	}
	again, same := replayLog(t, log, 97)
	if same != hash || dump(t, again.View()) != dump(t, m.View()) {
		t.Error("with restores on the way, the replay gives another state")
	}
	seen := make(map[fsm.Kind]int)
	for r := range m.View().Registries() {
		for tx, err := range r.History(0) {
			if err != nil {
				t.Fatal(err)
			}
			seen[tx.Kind]++
		}
	}
	big, _ := m.View().Registry("big")
	if len(seen) != 5 || m.View().Malformed() == 0 || m.View().Keys() < 11 || big.OldestRevision() == 1 {
		t.Errorf("the log has not all kinds: %v, %d keys, kept from %d", seen, m.View().Keys(), big.OldestRevision())
	}
}

// TestStoredLogIsWrittenAsItStands encodes what the stored log holds: the bytes that
// this build writes are those of the format.
func TestStoredLogIsWrittenAsItStands(t *testing.T) {
	log, err := os.ReadFile(storedLog)
	if err != nil {
		t.Fatal(err)
	}
	for index := 1; len(log) > 0; index++ {
		size, n := binary.Uvarint(log)
		stored := log[n : n+int(size)]
		log = log[n+int(size):]
		entry, err := fsm.DecodeEntry(stored)
		if err != nil {
			t.Fatal(err)
		}
		compressed := stored[1] != 0 // these bytes are the toolchain's affair
		malformed := false
		for i := range entry.Commands {
			malformed = malformed || entry.Commands[i].Kind() == 0
		}
		if !compressed && !malformed && !bytes.Equal(encodeEntry(t, entry), stored) {
			t.Fatalf("entry %d is written differently", index)
		}
	}
}
