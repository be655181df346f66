package fsm_test

import (
	"bytes"
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
