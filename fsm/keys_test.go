package fsm_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

func apply(m *fsm.Machine, commands ...fsm.Command) []fsm.Result {
	return m.Apply(m.View().Index()+1, fsm.Entry{Stamp: max(m.View().Stamp(), 1), Commands: commands})
}

// TestKeyTellsRequestsApart changes one part of a request at a time: it is another
// request then, but for what does not belong to it.
func TestKeyTellsRequestsApart(t *testing.T) {
	revision := func(n uint64) *uint64 { return &n }
	entity := fsm.Entity{ID: "a", Type: fsm.TypeGlobal, UpdateStrategy: fsm.Independent, DisplayName: "A"}
	file := entity
	file.Files = []fsm.File{{Path: "a", Pattern: "b"}}
	empty := entity
	empty.Files = []fsm.File{}
	bump := fsm.Bump{Scope: fsm.Patch, EntityID: "a", Cascade: true}
	cases := []fsm.Command{ // all different
		{Registry: "r", Op: bump},
		{Registry: "s", Op: bump},
		{Registry: "r", IfMatch: revision(0), Op: bump},
		{Registry: "r", IfMatch: revision(1), Op: bump},
		{Registry: "r", IfMatch: revision(math.MaxUint64), Op: bump},
		{Registry: "r", Op: fsm.Bump{Scope: fsm.Minor, EntityID: "a", Cascade: true}},
		{Registry: "r", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "b", Cascade: true}},
		{Registry: "r", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "a"}},
		{Registry: "r", Op: fsm.Bump{Scope: fsm.Patch, Cascade: true}},
		{Registry: "r", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "a", Cascade: true, ExpectedVersion: "1"}},
		{Registry: "r", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "a", Cascade: true, Reason: "1"}},
		{Registry: "r", Op: fsm.Batch{Requests: []fsm.Bump{bump}}},
		{Registry: "r", Op: fsm.Batch{Requests: []fsm.Bump{bump, bump}}},
		{Registry: "r", Op: fsm.Put{Entity: entity}},
		{Registry: "r", Op: fsm.Put{Entity: entity, CreateOnly: true}},
		{Registry: "r", Op: fsm.Put{Entity: file}},
		{Registry: "r", Op: fsm.Delete{EntityID: "a"}},
		{Registry: "r", Op: fsm.Migrate{Source: "r", Entities: []fsm.Entity{entity}}},
		{Registry: "r", Op: fsm.Migrate{Source: "r", Entities: []fsm.Entity{file}}},
		{Registry: "r", Op: fsm.Migrate{Source: "s", Entities: []fsm.Entity{entity}}},
	}
	seed := entity
	seed.CurrentVersion = "1"
	for i, first := range cases {
		for j, second := range cases {
			m := fsm.New()
			first.Key, second.Key, second.Actor = "key", "key", "somebody else"
			apply(m, founding(0), fsm.Command{Registry: "r", Op: fsm.Put{Entity: seed}}, fsm.Command{Registry: "s", Op: fsm.Put{Entity: seed}})
			results := apply(m, first, second)
			reused := results[1].Refusal != nil && results[1].Refusal.Code == fsm.CodeKeyReused
			if i == j && !results[1].Replayed || i != j && !reused {
				t.Errorf("%+v and then %+v: %v", first, second, results[1].Refusal)
			}
		}
	}
	m := fsm.New()
	apply(m, founding(0), fsm.Command{Registry: "r", Key: "k", Op: fsm.Put{Entity: seed}})
	seed.Files = empty.Files
	if again := apply(m, fsm.Command{Registry: "r", Key: "k", Op: fsm.Put{Entity: seed}}); !again[0].Replayed {
		t.Error("no files and an empty list of files are two requests")
	}
}

// TestReplayedPutAnswersWithWhatWasPut repeats puts after the entity has changed, and
// after it is gone.
func TestReplayedPutAnswersWithWhatWasPut(t *testing.T) {
	m := fsm.New()
	e := fsm.Entity{ID: "a", Type: fsm.TypeCLITool, CurrentVersion: "1.0", UpdateStrategy: fsm.Independent, DisplayName: "First",
		Files: []fsm.File{{Path: "p", Pattern: "x"}}}
	renamed := e
	renamed.DisplayName, renamed.CurrentVersion = "Second", ""
	same := e
	same.CurrentVersion = ""
	puts := []fsm.Command{
		{Registry: "r", Key: "create", Op: fsm.Put{Entity: e}},
		{Registry: "r", Key: "nothing", Op: fsm.Put{Entity: e}},
		{Registry: "r", Key: "nothing, without a version", Op: fsm.Put{Entity: same}},
		{Registry: "r", Key: "replace", Op: fsm.Put{Entity: renamed}},
	}
	apply(m, founding(0))
	first := apply(m, puts...)
	check := func(when string) {
		for i, again := range apply(m, puts...) {
			again.Replayed = false
			if throughLog(again) != throughLog(first[i]) {
				t.Errorf("%s, %s is answered\n%s\nwas\n%s", when, puts[i].Key, throughLog(again), throughLog(first[i]))
			}
		}
	}
	check("at once")
	apply(m, fsm.Command{Registry: "r", Op: fsm.Bump{Scope: fsm.Major, EntityID: "a", Cascade: true}})
	check("after a bump")
	m = restore(t, snapshot(t, m.View()))
	check("after a restore")
	apply(m, fsm.Command{Registry: "r", Op: fsm.Delete{EntityID: "a"}})
	check("after a delete")
}

// TestReplayOfWhatIsDeleted repeats a bump whose entity is gone: the answer still has
// the version that the bump gave it, and what the entity was when it was deleted.
func TestReplayOfWhatIsDeleted(t *testing.T) {
	m := fsm.New()
	bump := fsm.Command{Registry: defaultRegistry, Key: "k", Op: fsm.Bump{Scope: fsm.Minor, EntityID: "component:0", Cascade: true}}
	first := apply(m, founding(0), manyEntities(1), bump)[2]
	apply(m, fsm.Command{Registry: defaultRegistry, Op: fsm.Delete{EntityID: "component:0"}})
	m = restore(t, snapshot(t, m.View()))
	again := apply(m, bump)[0]
	if !again.Replayed || diff(first.Transaction, again.Transaction) != "" {
		t.Errorf("replayed %v:\n%s", again.Replayed, diff(first.Transaction, again.Transaction))
	}
	first.Entities[0].Files = nil // of what is deleted only what is small is kept
	if d := diff(first.Entities, again.Entities); d != "" {
		t.Errorf("bumped:\n%s", d)
	}
}

func TestKeyShape(t *testing.T) {
	for key, fine := range map[string]bool{
		"k": true, " ": true, "~!\"": true, strings.Repeat("k", 255): true,
		"": false, strings.Repeat("k", 256): false, "a\n": false, "\x7f": false, "é": false,
	} {
		if (fsm.CheckKey(key) == nil) != fine {
			t.Errorf("CheckKey(%q) = %v", key, fsm.CheckKey(key))
		}
	}
}

// TestKeysFillRuns stores more keys than a run of the table holds, lets the first of
// them expire, and finds the others through a restore.
func TestKeysFillRuns(t *testing.T) {
	const keys, perStep = 9000, 30
	m := fsm.New()
	apply(m, founding(0), manyEntities(1))
	stamp, index := int64(1), m.View().Index()
	for i := range keys {
		if i%perStep == 0 {
			stamp += 10 * 60 * 1000
		}
		index++
		m.Apply(index, fsm.Entry{Stamp: stamp, Commands: []fsm.Command{{Registry: defaultRegistry, Key: fmt.Sprint(i),
			Op: fsm.Bump{Scope: fsm.Patch, EntityID: "component:0", Cascade: true}}}})
	}
	if got := m.View().Keys(); got != 6*24*perStep { // those of the last 24 hours
		t.Errorf("%d keys are remembered", got)
	}
	before := m.View().StateHash()
	m = restore(t, snapshot(t, m.View()))
	if m.View().StateHash() != before {
		t.Error("the restored table differs")
	}
	for i := 0; i < keys; i += 19 {
		index++
		c := fsm.Command{Registry: defaultRegistry, Key: fmt.Sprint(i), Op: fsm.Bump{Scope: fsm.Patch, EntityID: "component:0", Cascade: true}}
		want := i >= keys-6*24*perStep
		result := m.Apply(index, fsm.Entry{Stamp: stamp, Commands: []fsm.Command{c}})[0]
		if result.Replayed != want || want && result.Revision != uint64(i+2) {
			t.Fatalf("key %d: replayed %v, revision %d", i, result.Replayed, result.Revision)
		}
	}
}
