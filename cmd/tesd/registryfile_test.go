package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/internal/wire"
)

// FuzzDecodeRegistry: whatever a file holds is either refused with faults to tell, or means
// the same when it is written as a request and read again.
func FuzzDecodeRegistry(f *testing.F) {
	for _, text := range []string{
		``, `null`, `[]`, `[null]`, `{}`, `{"entities":[]}`, `{"entities":{}}`, `{"entities":[{"id":"a"}]}`, `[{"files":[{}]}]`,
		`{"revision":-1}`, `{"revision":1e9}`, `{"a\u0000b":1}`, `{"entities":[{"id":"\ud800"}]}`, `[[[[`, `{"entities":[],"entities":[]}`,
		`[{"id":"a","type":"global","currentVersion":"1","updateStrategy":"independent","files":[],"displayInUi":true,"displayName":""}]`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entities, err := decodeRegistry([]byte(text))
		if err != nil {
			shape, ok := errors.AsType[*shapeError](err)
			if !ok || len(shape.problems) == 0 || strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("the fault is %#v", err)
			}
			return
		}
		written, err := json.Marshal(wire.Entities(entities))
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeRegistry(written)
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v\n%s", err, written)
		}
		if diff := cmp.Diff(entities, again); diff != "" {
			t.Fatalf("read again it differs (-first +second):\n%s", diff)
		}
	})
}
