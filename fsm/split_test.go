package fsm_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// snapshot returns the bytes of a view's snapshot: all of its content.
func snapshot(t interface{ Fatal(...any) }, v fsm.View) []byte {
	var b bytes.Buffer
	n, err := v.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatal("WriteTo:", n, b.Len(), err)
	}
	return b.Bytes()
}

func restore(t interface{ Fatal(...any) }, b []byte) *fsm.Machine {
	m, err := fsm.Restore(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// throughLog is what a result looks like to a reader of its JSON, where an absent
// list is an empty one.
func throughLog(result fsm.Result) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "registry %q revision %d replayed %v refusal %+v\n", result.Registry, result.Revision, result.Replayed, result.Refusal)
	if t := result.Transaction; t != nil {
		fmt.Fprintf(&b, "%s %s %v %x\n", t.Payload(), t.KeyID, t.Items, t.Hash)
	}
	for _, e := range result.Entities {
		b.Write(e.AppendJSON(nil))
	}
	return b.String()
}

// dump is everything that can be read of a view, but for the index.
func dump(t interface{ Fatal(...any) }, v fsm.View) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%x %+v stamp %d malformed %d keys %d\n", v.StateHash(), v.Cluster(), v.Stamp(), v.Malformed(), v.Keys())
	for r := range v.Registries() {
		fmt.Fprintf(&b, "%s %d from %d at %d %x\n", r.ID(), r.Revision(), r.OldestRevision(), r.LastTimestamp(), r.LastHash())
		for e := range r.Entities("") {
			b.Write(e.AppendJSON(nil))
			fmt.Fprintf(&b, "\n%d:", r.Len())
			for revision := range r.EntityRevisions(e.ID, 0) {
				fmt.Fprintf(&b, " %d", revision)
			}
		}
		for tx, err := range r.History(0) {
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "\n%s %s %v", tx.Payload(), tx.KeyID, tx.Items)
		}
	}
	return b.String()
}

// TestSplitAndRestore applies one log twice: each command in an entry of its own, and
// then grouped into entries at random, encoded as the log holds them, with snapshots
// restored in between. Nobody can tell the difference, from any answer or state.
func TestSplitAndRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		throws := rapidDice(t)
		var log []step
		var answers []string
		var hashes []fsm.Hash
		one := fsm.New()
		throws.runLog(one, rapid.IntRange(1, 60).Draw(t, "commands"), func(s step, _ fsm.View, result fsm.Result) {
			log = append(log, s)
			answers = append(answers, throughLog(result))
			hashes = append(hashes, one.View().StateHash())
		})
		other := fsm.New()
		var restores int
		for at := 0; at < len(log); {
			entry := fsm.Entry{Stamp: log[at].stamp}
			first := at
			for take := 1 + throws(6); take > 0 && at < len(log) && log[at].stamp == entry.Stamp; take-- {
				entry.Commands = append(entry.Commands, log[at].entry().Commands...)
				at++
			}
			results := other.Apply(uint64(at), throughCodec(t, entry))
			for ; first < at; first++ {
				if log[first].command.Op == nil {
					continue
				}
				if got := throughLog(results[0]); got != answers[first] {
					t.Fatalf("command %d %+v: answer\n%s\nwas\n%s", first, log[first].command, got, answers[first])
				}
				results = results[1:]
			}
			if other.View().StateHash() != hashes[at-1] {
				t.Fatalf("the state hash after command %d differs", at)
			}
			if len(entry.Commands) > 0 && throws.rarely(8) {
				other = restore(t, snapshot(t, other.View()))
				restores++
			}
		}
		if got, want := dump(t, other.View()), dump(t, one.View()); got != want {
			t.Fatalf("after %d restores the state is\n%s\nwas\n%s", restores, got, want)
		}
	})
}

// throughCodec encodes an entry and decodes it again.
func throughCodec(t interface{ Fatal(...any) }, entry fsm.Entry) fsm.Entry {
	b, err := fsm.EncodeEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	entry, err = fsm.DecodeEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// TestSplitOfManyExpiringKeys has more keys grow old at one moment than an entry
// forgets: how many go must not depend on how the log is split.
func TestSplitOfManyExpiringKeys(t *testing.T) {
	run := func(split bool) fsm.Hash {
		m, index := fsm.New(), uint64(0)
		apply := func(stamp int64, commands ...fsm.Command) {
			index++
			m.Apply(index, fsm.Entry{Stamp: stamp, Commands: commands})
		}
		apply(1, founding(0))
		for i := range 3000 {
			apply(1, fsm.Command{Registry: defaultRegistry, Key: fmt.Sprint(i), Op: fsm.Delete{EntityID: "none"}})
		}
		stamp := int64(1)
		for range 6*24 - 1 {
			stamp += 10 * 60 * 1000
			apply(stamp)
		}
		if keys := m.View().Keys(); keys != 3000 {
			t.Fatalf("%d keys are left before their time", keys)
		}
		stamp += 10 * 60 * 1000
		c := fsm.Command{Registry: defaultRegistry, Key: "0", Op: fsm.Delete{EntityID: "none"}}
		if split {
			apply(stamp, c)
			apply(stamp, c)
		} else {
			apply(stamp, c, c)
		}
		return m.View().StateHash()
	}
	if run(true) != run(false) {
		t.Error("two commands in one entry and in two leave different states")
	}
}
