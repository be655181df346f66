package fsm_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// outcomeOf reduces a result to what the model knows of it.
func outcomeOf(result fsm.Result) outcome {
	o := outcome{Revision: result.Revision, Replayed: result.Replayed}
	if r := result.Refusal; r != nil {
		o.Code, o.EntityID, o.Item, o.Actual = r.Code, r.EntityID, r.Item+1, r.Actual
	}
	if t := result.Transaction; t != nil {
		o.Kind, o.Timestamp, o.Actor, o.Changes, o.Items = t.Kind.String(), t.Timestamp, t.Actor, t.Changes, t.Items
	}
	for _, e := range result.Entities {
		o.Entities = append(o.Entities, e.ID+" "+e.CurrentVersion)
	}
	return o
}

func diff(want, got any) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// TestAgainstModel runs random commands on the machine and on the model of the
// contract, and finds no difference in any answer, state, history or receipt.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		machine, m, throws := fsm.New(), newModel(), rapidDice(t)
		throws.runLog(machine, rapid.IntRange(1, 80).Draw(t, "commands"), func(s step, before fsm.View, result fsm.Result) {
			m.advance(s.stamp)
			if s.command.Op == nil {
				return
			}
			want := m.apply(s.command)
			if d := diff(want, outcomeOf(result)); d != "" {
				t.Fatalf("%T %+v: model (-) and machine (+) differ:\n%s", s.command.Op, s.command, d)
			}
			checkPlan(t, before, s.command, result)
			checkRegistries(t, m, machine.View())
		})
		checkHistories(t, m, machine.View())
	})
}

// TestGeneratorReachesEverything makes sure that the random commands of these tests
// meet every answer that there is: tests that never get anywhere prove nothing.
func TestGeneratorReachesEverything(t *testing.T) {
	seen := make(map[string]int)
	for seed := range uint64(60) {
		machine := fsm.New()
		seededDice(seed).runLog(machine, 100, func(s step, _ fsm.View, result fsm.Result) {
			o := outcomeOf(result)
			seen[string(o.Code)+o.Kind]++
			if o.Replayed {
				seen["replayed "+string(o.Code)+o.Kind]++
			}
		})
		for r := range machine.View().Registries() {
			if r.OldestRevision() > 1 {
				seen["compacted"]++
			}
		}
	}
	for _, what := range []fsm.Code{
		"bump", "batch", "put", "delete", "migrate", "replayed bump", "replayed batch", "replayed put", "replayed delete", "replayed ",
		"compacted", fsm.CodeInvalidRequest, fsm.CodeRegistryNotFound, fsm.CodeEntityNotFound, fsm.CodeVersionConflict, fsm.CodeEntityExists,
		fsm.CodeHasChildren, fsm.CodeRevisionMismatch, fsm.CodeKeyReused, fsm.CodeRegistryInvalid, fsm.CodeVersionOverflow, fsm.CodeNotReady,
		"replayed " + fsm.CodeEntityNotFound, "replayed " + fsm.CodeVersionConflict, "replayed " + fsm.CodeRegistryInvalid,
	} {
		if seen[string(what)] < 3 {
			t.Errorf("%q was seen %d times", what, seen[string(what)])
		}
	}
	t.Log(seen)
}

// checkPlan holds the dry run before a bump to what the bump then did.
func checkPlan(t *rapid.T, before fsm.View, c fsm.Command, result fsm.Result) {
	if kind := c.Kind(); kind != fsm.KindBump && kind != fsm.KindBatch || c.Key != "" {
		return
	}
	plan, refusal := before.Plan(c)
	if d := diff(result.Refusal, refusal); d != "" {
		t.Fatalf("the real bump (-) and its plan (+) are refused differently:\n%s", d)
	}
	if refusal != nil {
		return
	}
	want := fsm.Plan{Revision: result.Revision - 1, Changes: result.Transaction.Changes, Entities: result.Entities, Items: result.Transaction.Items}
	if d := diff(want, plan); d != "" {
		t.Fatalf("the real bump (-) is not what was planned (+):\n%s", d)
	}
}

// checkRegistries compares the states, and the lists of what there is.
func checkRegistries(t *rapid.T, m *model, view fsm.View) {
	if int(view.Keys()) != len(m.keys) || view.Stamp() != m.stamp || view.Founded() != m.founded {
		t.Fatalf("keys %d, stamp %d, founded %v; the model has %d, %d, %v",
			view.Keys(), view.Stamp(), view.Founded(), len(m.keys), m.stamp, m.founded)
	}
	var ids []string
	for r := range view.Registries() {
		ids = append(ids, r.ID())
		want := m.registries[r.ID()]
		if want == nil {
			t.Fatalf("registry %q is not in the model", r.ID())
		}
		if r.Revision() != want.revision() || r.Len() != len(want.entities) {
			t.Fatalf("registry %q: revision %d, entities %d; the model has %d, %d", r.ID(),
				r.Revision(), r.Len(), want.revision(), len(want.entities))
		}
		// A key that expires lets go of the history up to its own revision only, not up
		// to that of the next key, so that the machine may keep more than it must.
		if oldest := r.OldestRevision(); oldest > want.oldest || oldest < want.loose {
			t.Fatalf("registry %q keeps revisions from %d on, the model those from %d on", r.ID(), oldest, want.oldest)
		}
		got := make(map[string]fsm.Entity)
		last := ""
		for e := range r.Entities("") {
			if e.ID <= last {
				t.Fatalf("entity %q comes after %q", e.ID, last)
			}
			last, got[e.ID] = e.ID, e
			if one, ok := r.Entity(e.ID); !ok || diff(e, one) != "" {
				t.Fatalf("entity %q alone differs from the list", e.ID)
			}
		}
		if d := diff(want.entities, got); d != "" {
			t.Fatalf("registry %q: model (-), machine (+):\n%s", r.ID(), d)
		}
	}
	if len(ids) != len(m.registries) || !slices.IsSorted(ids) {
		t.Fatalf("registries %q, the model has %d", ids, len(m.registries))
	}
}

// checkHistories compares every receipt that is kept, by all the ways to it.
func checkHistories(t *rapid.T, m *model, view fsm.View) {
	for r := range view.Registries() {
		want := m.registries[r.ID()]
		next := r.OldestRevision()
		moved := make(map[string][]uint64)
		for tx, err := range r.History(0) {
			if err != nil {
				t.Fatal(err)
			}
			if tx.Revision != next {
				t.Fatalf("revision %d in the place of %d", tx.Revision, next)
			}
			checkTransaction(t, want.log[next-1], tx)
			one, err := r.Transaction(next)
			if err != nil || diff(tx, one) != "" {
				t.Fatalf("transaction %d alone: %v\n%s", next, err, diff(tx, one))
			}
			for _, c := range tx.Changes {
				if at := moved[c.EntityID]; len(at) == 0 || at[len(at)-1] != next {
					moved[c.EntityID] = append(at, next)
				}
			}
			next++
		}
		if next != want.revision()+1 {
			t.Fatalf("the history ends before revision %d", next)
		}
		for id, revisions := range moved {
			for after := range r.Revision() + 1 {
				checkEntityHistory(t, r, id, after, revisions)
			}
		}
		if oldest := r.OldestRevision(); oldest > 1 {
			if _, err := r.Transaction(oldest - 1); err != fsm.ErrCompacted {
				t.Fatalf("a transaction that is not kept gives %v", err)
			}
		}
		for _, revision := range []uint64{0, next, 1<<64 - 1} {
			if _, err := r.Transaction(revision); err != fsm.ErrNoRevision {
				t.Fatalf("transaction %d gives %v", revision, err)
			}
		}
	}
}

func checkTransaction(t *rapid.T, want modelTransaction, tx fsm.Transaction) {
	if got := string(tx.Payload()); got != want.payload {
		t.Fatalf("payload of revision %d:\n%s\nthe model has\n%s", tx.Revision, got, want.payload)
	}
	if hex.EncodeToString(tx.Hash[:]) != want.hash {
		t.Fatalf("hash of revision %d is not that of its payload", tx.Revision)
	}
	if d := diff(want.Items, tx.Items); d != "" {
		t.Fatalf("items of revision %d:\n%s", tx.Revision, d)
	}
}

func checkEntityHistory(t *rapid.T, r fsm.Registry, id string, after uint64, revisions []uint64) {
	var want, got []uint64
	for _, revision := range revisions {
		if revision > after {
			want = append(want, revision)
		}
	}
	for tx, err := range r.EntityHistory(id, after) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tx.Revision)
	}
	if d := diff(want, got); d != "" {
		t.Fatalf("history of %q after %d:\n%s", id, after, d)
	}
}
