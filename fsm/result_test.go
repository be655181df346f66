package fsm_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// TestResultRoundTrip passes the answers to random commands on as nodes do.
func TestResultRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rapidDice(t).runLog(fsm.New(), rapid.IntRange(1, 80).Draw(t, "commands"), func(_ step, _ fsm.View, want fsm.Result) {
			b := fsm.EncodeResult([]byte("before"), &want)[len("before"):]
			got, err := fsm.DecodeResult(b)
			if d := diff(want, got); err != nil || d != "" {
				t.Fatal(err, d)
			}
			if again := fsm.EncodeResult(nil, &got); !bytes.Equal(again, b) {
				t.Fatal("encoded again, the result is other bytes")
			}
			if _, err := fsm.DecodeResult(b[:len(b)-1]); err == nil {
				t.Fatal("half a result is read")
			}
		})
	})
}

// TestResultsShareNothing looks at the answers to one entry again after a later one: what each says is its
// own, whatever the machine has used the memory for since.
func TestResultsShareNothing(t *testing.T) {
	m := fsm.New()
	apply(m, founding(0), manyEntities(50))
	var commands []fsm.Command
	for i := range 50 {
		commands = append(commands, bumpOf(fmt.Sprintf("component:%d", i)))
	}
	first := apply(m, commands...)
	apply(m, commands...)
	for i, r := range first {
		id := commands[i].EntityID()
		if len(r.Entities) != 1 || r.Entities[0].ID != id || r.Entities[0].CurrentVersion != "1.0.1" {
			t.Errorf("the answer to the bump of %s says of entities: %+v", id, r.Entities)
		}
		if c := r.Transaction.Changes; len(c) != 1 || c[0].EntityID != id || c[0].NewVersion != "1.0.1" {
			t.Errorf("the answer to the bump of %s says of changes: %+v", id, c)
		}
		if sha256.Sum256(r.Transaction.Payload()) != r.Transaction.Hash {
			t.Errorf("the transaction of %s has another payload than it was sealed with", id)
		}
	}
	if grown := append(first[0].Entities, fsm.Entity{}); first[1].Entities[0].ID != "component:1" {
		t.Errorf("adding to the entities of one answer changes the next: %+v", grown)
	}
}

// FuzzDecodeResult never panics, and reads nothing that it would write otherwise.
func FuzzDecodeResult(f *testing.F) {
	for seed := range uint64(8) {
		seededDice(seed).runLog(fsm.New(), 40, func(_ step, _ fsm.View, r fsm.Result) { f.Add(fsm.EncodeResult(nil, &r)) })
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > fuzzMost {
			return
		}
		r, err := fsm.DecodeResult(b)
		if err != nil {
			return
		}
		if again := fsm.EncodeResult(nil, &r); !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %+v, which is written %x", b, r, again)
		}
	})
}
