package fsm_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// The log that testdata holds, and the hash of the state that it leads to. The format
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
	throws := seededDice(41)
	throws.runLog(fsm.New(), 400, func(s step, _ fsm.View, _ fsm.Result) {
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
	return log
}

// replayLog applies a stored log, and restores the machine on the way if told to.
func replayLog(t *testing.T, log []byte, restoreEvery uint64) *fsm.Machine {
	m := fsm.New()
	for index := uint64(1); len(log) > 0; index++ {
		size, n := binary.Uvarint(log)
		entry, err := fsm.DecodeEntry(log[n : n+int(size)])
		if err != nil {
			t.Fatalf("entry %d: %v", index, err)
		}
		m.Apply(index, entry)
		log = log[n+int(size):]
		if restoreEvery > 0 && index%restoreEvery == 0 {
			m = restore(t, snapshot(t, m.View()))
		}
	}
	return m
}

func TestStoredLog(t *testing.T) {
	if *rewrite {
		log := generateLog(t)
		hash := replayLog(t, log, 0).View().StateHash()
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
	m := replayLog(t, log, 0)
	hash := m.View().StateHash()
	if got := hex.EncodeToString(hash[:]); got != strings.TrimSpace(string(want)) {
		t.Errorf("replay of the stored log gives the state hash %s, want %s", got, want)
	}
	again := replayLog(t, log, 97)
	if again.View().StateHash() != hash || dump(t, again.View()) != dump(t, m.View()) {
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
	if len(seen) != 5 || m.View().Malformed() == 0 || m.View().Keys() == 0 {
		t.Errorf("the log has not all kinds: %v", seen)
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
