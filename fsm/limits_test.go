package fsm_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

func refusalCode(result fsm.Result) fsm.Code {
	if result.Refusal == nil {
		return ""
	}
	return result.Refusal.Code
}

func TestRegistryLimit(t *testing.T) {
	m := fsm.New()
	apply(m, founding(0))
	put := func(registry, key string) fsm.Result {
		return apply(m, fsm.Command{Registry: registry, Key: key, Op: fsm.Put{Entity: valid("a", "")}})[0]
	}
	for i := 1; i < fsm.MaxRegistries; i++ {
		if code := refusalCode(put(fmt.Sprint("r", i), "")); code != "" {
			t.Fatalf("registry %d: %s", i, code)
		}
	}
	if code := refusalCode(put("one-more", "k")); code != fsm.CodeTooLarge {
		t.Errorf("one more: %q", code)
	}
	if code := refusalCode(put("r1", "")); code != "" {
		t.Errorf("one that exists: %q", code)
	}
	if keys := m.View().Keys(); keys != 0 {
		t.Error("a limit that is reached is no answer to keep")
	}
	restore(t, snapshot(t, m.View()))
}

// TestEntityLimit has a registry as large as can be, and as deep: a chain of 100,000
// linked entities, which every walk must survive without recursion.
func TestEntityLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("a registry of 100,000 entities takes a second or two")
	}
	entities := []fsm.Entity{{ID: "e0", Type: fsm.TypeGlobal, CurrentVersion: "1", UpdateStrategy: fsm.Independent}}
	for i := 1; i < fsm.MaxEntities; i++ {
		entities = append(entities, fsm.Entity{ID: fmt.Sprint("e", i), Type: fsm.TypeComponent, CurrentVersion: "1",
			UpdateStrategy: fsm.LinkedToParent, ParentVersionID: fmt.Sprint("e", i-1)})
	}
	m := fsm.New()
	last := fmt.Sprint("e", fsm.MaxEntities-1)
	results := apply(m, founding(0),
		fsm.Command{Registry: "over", Op: fsm.Migrate{Source: "s", Entities: append(entities, valid("x", ""))}},
		fsm.Command{Registry: defaultRegistry, Op: fsm.Migrate{Source: "s", Entities: entities}},
		fsm.Command{Registry: defaultRegistry, Op: fsm.Put{Entity: valid("one-more", "")}},
		fsm.Command{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Minor, EntityID: "e0", Cascade: true}},
		fsm.Command{Registry: defaultRegistry, Op: fsm.Put{Entity: fsm.Entity{ID: "e0", Type: fsm.TypeGlobal, UpdateStrategy: fsm.Independent, ParentVersionID: last}}},
		fsm.Command{Registry: defaultRegistry, Op: fsm.Delete{EntityID: last}},
		fsm.Command{Registry: defaultRegistry, Op: fsm.Put{Entity: valid("one-more", "")}})
	want := []fsm.Code{"", fsm.CodeInvalidRequest, "", fsm.CodeTooLarge, "", fsm.CodeRegistryInvalid, "", ""}
	for i, result := range results {
		if refusalCode(result) != want[i] {
			t.Errorf("command %d: %v, want %q", i, result.Refusal, want[i])
		}
	}
	if moved := results[4].Transaction.Changes; len(moved) != fsm.MaxEntities || moved[len(moved)-1].EntityID != last {
		t.Errorf("the cascade moves %d", len(moved))
	}
	if message := results[5].Refusal.Findings[0].Message; len(message) > 400 {
		t.Errorf("the cycle's message has %d bytes", len(message))
	}
}

// TestCommandLimits has one more than is allowed of each thing that a command counts.
func TestCommandLimits(t *testing.T) {
	bump := fsm.Bump{Scope: fsm.Patch, EntityID: "a", Cascade: true}
	batch := func(n int) fsm.Op {
		b := fsm.Batch{}
		for range n {
			b.Requests = append(b.Requests, bump)
		}
		return b
	}
	files := func(n int) fsm.Op {
		e := valid("b", "")
		e.Files = make([]fsm.File, n)
		for i := range e.Files {
			e.Files[i].Path = "p"
		}
		return fsm.Put{Entity: e}
	}
	reason := func(n int) fsm.Op {
		b := bump
		b.Reason = strings.Repeat("x", n)
		return b
	}
	for name, ops := range map[string][2]fsm.Op{
		"requests": {batch(fsm.MaxBatch), batch(fsm.MaxBatch + 1)},
		"files":    {files(fsm.MaxFiles), files(fsm.MaxFiles + 1)},
		"reason":   {reason(fsm.MaxReason), reason(fsm.MaxReason + 1)},
	} {
		m := fsm.New()
		apply(m, founding(0), fsm.Command{Registry: defaultRegistry, Op: fsm.Put{Entity: valid("a", "")}})
		for i, op := range ops {
			c := fsm.Command{Registry: defaultRegistry, Op: op}
			for how, entry := range map[string]fsm.Entry{"as it is": {Commands: []fsm.Command{c}}, "from the log": throughCodec(t, fsm.Entry{Commands: []fsm.Command{c}})} {
				result := m.Apply(m.View().Index()+1, entry)[0]
				if want := []fsm.Code{"", fsm.CodeInvalidRequest}[i]; refusalCode(result) != want {
					t.Errorf("%s, %d over, %s: %v", name, i, how, result.Refusal)
				}
			}
		}
	}
}

// TestTransactionLimit has a batch whose changes would be more than a node's memory and
// a block of the history can take, although each of its requests is fine.
func TestTransactionLimit(t *testing.T) {
	c := manyEntities(999)
	entities := c.Op.(fsm.Migrate).Entities
	for i := range entities {
		entities[i].DisplayName = strings.Repeat("x", fsm.MaxText)
	}
	everything := fsm.Bump{Scope: fsm.Patch, Cascade: true}
	batch := fsm.Command{Registry: defaultRegistry, Key: "k", Op: fsm.Batch{Requests: slices.Repeat([]fsm.Bump{everything}, fsm.MaxBatch)}}
	m := fsm.New()
	apply(m, founding(0), c)
	for _, result := range apply(m, batch, batch) {
		if refusalCode(result) != fsm.CodeTooLarge || result.Replayed || result.Refusal.Item < 50 {
			t.Errorf("%+v", result.Refusal)
		}
	}
	if _, refusal := m.View().Plan(batch); refusal == nil || refusal.Code != fsm.CodeTooLarge {
		t.Error("the plan is not refused:", refusal)
	}
	if result := apply(m, fsm.Command{Registry: defaultRegistry, Op: everything})[0]; result.Revision != 2 {
		t.Error("after it:", result.Refusal)
	}
}

// TestReach holds the estimate of what a command moves against what it does move.
func TestReach(t *testing.T) {
	m := fsm.New()
	entities := []fsm.Entity{{ID: "root", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent}}
	for i := range 400 {
		parent := "root"
		if i < 10 {
			parent = "" // of few
		}
		e := fsm.Entity{ID: fmt.Sprintf("e%d", i), Type: fsm.TypeComponent, CurrentVersion: "1.0.0", UpdateStrategy: fsm.LinkedToParent, ParentVersionID: parent}
		if parent == "" {
			e.UpdateStrategy = fsm.Independent
		}
		entities = append(entities, e)
	}
	command := func(op fsm.Op) fsm.Command { return fsm.Command{Registry: "r", Actor: "anonymous", Op: op} }
	results := m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{
		command(fsm.Genesis{ClusterID: "c", RegistryID: "r"}), command(fsm.Migrate{Source: "test", Entities: entities}),
	}})
	if results[1].Refusal != nil {
		t.Fatal(results[1].Refusal)
	}
	bump := func(id string, cascade bool) fsm.Bump {
		return fsm.Bump{Scope: fsm.Patch, EntityID: id, Cascade: cascade}
	}
	for _, row := range []struct {
		op   fsm.Op
		want int
	}{
		{bump("", true), 401},
		{bump("root", true), 401}, // 391, but that is more than some hundreds
		{bump("root", false), 1},
		{bump("e5", true), 1},
		{bump("none", true), 1},
		{fsm.Batch{Requests: []fsm.Bump{bump("e5", true), bump("", true)}}, 402},
		{fsm.Delete{EntityID: "e5"}, 1},
	} {
		if got := m.View().Reach(command(row.op)); got != row.want {
			t.Errorf("%+v reaches %d entities, want %d", row.op, got, row.want)
		}
	}
}

// TestFullKeyTable fills the table of keys, which refuses new ones while all are young, and
// takes them again once the oldest has grown old.
func TestFullKeyTable(t *testing.T) {
	m := fsm.New()
	fsm.SetMaxKeys(m, 3)
	apply(m, founding(0), manyEntities(1))
	bump := func(key string) fsm.Command {
		return fsm.Command{Registry: defaultRegistry, Key: key, Op: fsm.Bump{Scope: fsm.Patch, EntityID: "component:0"}}
	}
	full := apply(m, bump("a"), bump("b"), bump("c"), bump("d"), bump("a"), bump(""))
	for i, want := range []fsm.Code{"", "", "", fsm.CodeTooMany, "", ""} {
		if got := refusalCode(full[i]); got != want {
			t.Errorf("command %d is refused with %q, want %q", i, got, want)
		}
	}
	if !full[4].Replayed || m.View().Keys() != 3 {
		t.Errorf("replayed %v, with %d keys", full[4].Replayed, m.View().Keys())
	}
	stamp := m.View().Stamp()
	for range 6 * 24 { // each entry is believed ten minutes
		stamp += 10 * 60 * 1000
		m.Apply(m.View().Index()+1, fsm.Entry{Stamp: stamp})
	}
	if code := refusalCode(apply(m, bump("d"))[0]); code != "" {
		t.Errorf("after a day a new key is refused with %q", code)
	}
}

// TestManyIndependentChildren bumps a parent of many that stay: it costs what it moves.
func TestManyIndependentChildren(t *testing.T) {
	entities := []fsm.Entity{{ID: "root", Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent}}
	for i := range 50_000 {
		entities = append(entities, fsm.Entity{ID: fmt.Sprintf("e%d", i), Type: fsm.TypeComponent, CurrentVersion: "1.0.0",
			UpdateStrategy: fsm.Independent, ParentVersionID: "root"})
	}
	m := fsm.New()
	apply(m, founding(0), fsm.Command{Registry: defaultRegistry, Op: fsm.Migrate{Source: "test", Entities: entities}})
	bump := fsm.Command{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Patch, EntityID: "root", Cascade: true}}
	view := m.View()
	if reach := view.Reach(bump); reach != 1 {
		t.Errorf("it reaches %d entities", reach)
	}
	perRun := testing.AllocsPerRun(3, func() {
		if plan, refusal := view.Plan(bump); refusal != nil || len(plan.Changes) != 1 {
			t.Fatal(len(plan.Changes), refusal)
		}
	})
	if perRun > 100 {
		t.Errorf("a plan of one change takes %v allocations", perRun)
	}
}
