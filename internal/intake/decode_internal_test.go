package intake

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/tesd/tesd/fsm"
)

// TestDecodeFaults checks where faults are found, and that the rest is read.
func TestDecodeFaults(t *testing.T) {
	for _, c := range []struct {
		name, body string
		readable   bool
		want       []fsm.Problem
	}{
		{"sound", `{"requests":[{"scope":"patch"}]}`, true, nil},
		{"null within a text", `{"requests":[{"reason":"null"}]}`, true, nil},
		{"empty", "", false, []fsm.Problem{{Path: "", Message: "is empty"}}},
		{"array", "[1]", false, []fsm.Problem{{Path: "", Message: "must be an object, not an array"}}},
		{"cut off within", `{"requests":[{"scope":"pa`, false, []fsm.Problem{{Path: "requests[0].scope", Message: "is not valid JSON at byte 25: unexpected EOF"}}},
		{"trailing", `{} {}`, false, []fsm.Problem{{Path: "", Message: "is not valid JSON at byte 4: there is more after the value"}}},
		{"syntax hides the rest", `{"x":1,"requests":[}`, false, []fsm.Problem{{Path: "requests", Message: "is not valid JSON at byte 19: invalid character '}' at start of value"}}},
		{"kinds", `{"requests":[1,"a",true,[],{"scope":{},"reason":[],"cascade":"x","entityId":false}]}`, true, []fsm.Problem{
			{Path: "requests[0]", Message: "must be an object, not a number"},
			{Path: "requests[1]", Message: "must be an object, not a string"},
			{Path: "requests[2]", Message: "must be an object, not true or false"},
			{Path: "requests[3]", Message: "must be an object, not an array"},
			{Path: "requests[4].scope", Message: "must be a string, not an object"},
			{Path: "requests[4].reason", Message: "must be a string, not an array"},
			{Path: "requests[4].cascade", Message: "must be true or false, not a string"},
			{Path: "requests[4].entityId", Message: "must be a string, not true or false"},
		}},
		{"nulls", `{"requests":[null,{"scope":null}],"dryRun":null}`, true, []fsm.Problem{
			{Path: "requests[0]", Message: "must not be null"},
			{Path: "requests[1].scope", Message: "must not be null"},
			{Path: "dryRun", Message: "must not be null"},
		}},
		{"names", `{"a.b":1,"":2,"dryRun":true,"dryRun":false,"\u00e4":{"x":[1,{}]},"DryRun":0}`, true, []fsm.Problem{
			{Path: `["a.b"]`, Message: "is not a known field"},
			{Path: `[""]`, Message: "is not a known field"},
			{Path: "dryRun", Message: "is given more than once"},
			{Path: `["ä"]`, Message: "is not a known field"},
			{Path: "DryRun", Message: "is not a known field"},
		}},
		{"long name", `{"` + strings.Repeat(".", 1<<20) + `":1}`, true, []fsm.Problem{{Path: `["` + strings.Repeat(".", 64) + `…"]`, Message: "is not a known field"}}},
		{"too many", `{"requests":[` + strings.Repeat("{},", 256) + `1,"x",{"a":[]}],"a":1}`, true, []fsm.Problem{
			{Path: "requests", Message: "has more than 256 elements"},
			{Path: "a", Message: "is not a known field"},
		}},
		{"depth 32", `{"x":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`, true, []fsm.Problem{{Path: "x", Message: "is not a known field"}}},
		{"depth 33", `{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, true, []fsm.Problem{{Path: "x", Message: "is nested deeper than 32"}}},
		{"depth of an excess", `{"requests":` + strings.Repeat(`[`, 100000), false, []fsm.Problem{{Path: "requests[0]", Message: "is not valid JSON at byte 10011: exceeded max depth"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b batchBody
			var f Faults
			if readable := decode([]byte(c.body), "", &b, &f); readable != c.readable {
				t.Errorf("readable is %v", readable)
			}
			if diff := cmp.Diff(c.want, f.list); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecodeKeepsTheRest checks that one fault does not hide what is beside it.
func TestDecodeKeepsTheRest(t *testing.T) {
	var b batchBody
	var f Faults
	decode([]byte(`{"requests":[{"scope":"patch","x":1},7,{"scope":"minor","cascade":false}],"dryRun":true}`), "", &b, &f)
	if len(b.Requests) != 3 || *b.Requests[0].Scope != "patch" || *b.Requests[2].Scope != "minor" || *b.Requests[2].Cascade || !*b.DryRun {
		t.Errorf("read %+v", b)
	}
}

// FuzzDecode reads any body: it never panics, the careful reading of it agrees with
// the fast one, and what is accepted has the meaning that encoding/json gives it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"scope":"patch","entityId":"a","cascade":false,"dryRun":true,"expectedVersion":"1","reason":"null"}`,
		`{"requests":[{"scope":"major"},{"scope":null}],"dryRun":false}`,
		`{"source":"s","entities":[{"id":"a","files":[{"path":"p","required":true}],"displayInUi":true}]}`,
		`{"scope":"a","scope":"b"}`, "{\"scope\":\"\xff\"}", `{"reason":"\ud800"}`, `{"reason":"\ud83d\ude00"}`, `{"x":[[[[]]]]} `, `nul`, `{"scope":1e9}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkDecode[bumpBody](t, body)
		checkDecode[batchBody](t, body)
		checkDecode[migrateBody](t, body)
		for _, read := range []func([]byte, *Faults) (fsm.Op, bool, bool){Bump, Batch, BatchFile, Migrate} {
			var f Faults
			if op, _, ok := read(body, &f); ok == (op == nil) || !ok && len(f.List()) == 0 {
				t.Fatalf("%q: read as %v, %v with %d faults", body, op, ok, len(f.List()))
			}
		}
	})
}

func checkDecode[T any](t *testing.T, raw []byte) {
	var v, careful, standard T
	var f, found Faults
	readable := decode(raw, "", &v, &f)
	if !readable && len(f.list) == 0 {
		t.Fatalf("%q is not readable, and has no fault", raw)
	}
	inspect(raw, "", reflect.ValueOf(&careful).Elem(), &found)
	fast := json.Unmarshal(raw, new(T), json.RejectUnknownMembers(true))
	if fast != nil && len(found.list) == 0 {
		t.Fatalf("%q: only the fast reading finds a fault: %v", raw, fast)
	}
	if fast == nil && len(found.list) > 0 && !bytes.Contains(raw, []byte("null")) {
		t.Fatalf("%q: only the careful reading finds a fault: %+v", raw, found.list)
	}
	if len(f.list) > 0 {
		return
	}
	if err := stdjson.Unmarshal(raw, &standard); err != nil {
		t.Fatalf("%q: encoding/json refuses it: %v", raw, err)
	}
	if !reflect.DeepEqual(v, standard) || !reflect.DeepEqual(careful, standard) {
		t.Fatalf("%q: read %+v, carefully %+v, by encoding/json %+v", raw, v, careful, standard)
	}
}

// BenchmarkDecode reads the body of a bump.
func BenchmarkDecode(b *testing.B) {
	raw := []byte(`{"scope":"patch","entityId":"component:checkout","expectedVersion":"1.2.3"}`)
	b.ReportAllocs()
	for b.Loop() {
		var v bumpBody
		var f Faults
		decode(raw, "", &v, &f)
	}
}
