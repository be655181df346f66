package fsm_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// longHistory bumps two entities of a registry in a pattern, and says which revision
// moved the rare one.
func longHistory(keep uint64, bumps int) (m *fsm.Machine, rare []uint64) {
	m = fsm.New()
	m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(keep), manyEntities(2)}})
	rare = append(rare, 1)
	for i := range bumps {
		b := fsm.Bump{Scope: fsm.Patch, EntityID: "component:0"}
		if i%700 == 0 || i%13 == 0 && i > bumps/2 {
			b.EntityID = "component:1"
			rare = append(rare, uint64(i+2))
		}
		b.Reason = strings.Repeat("why ", i%200)
		m.Apply(uint64(i+2), fsm.Entry{Stamp: int64(i), Commands: []fsm.Command{{Registry: defaultRegistry, Op: b}}})
	}
	return m, rare
}

// TestHistoryFromAnywhere starts reading at revisions all over a history of many
// blocks, whole and limited, as it grew and as it was restored.
func TestHistoryFromAnywhere(t *testing.T) {
	const bumps = 1800
	for _, keep := range []uint64{0, 1, 300} {
		grown, rare := longHistory(keep, bumps)
		for name, m := range map[string]*fsm.Machine{"grown": grown, "restored": restore(t, snapshot(t, grown.View()))} {
			r, _ := m.View().Registry(defaultRegistry)
			oldest := uint64(1)
			if keep > 0 {
				oldest = bumps + 2 - keep
			}
			if r.OldestRevision() != oldest {
				t.Fatalf("keep %d, %s: oldest is %d, want %d", keep, name, r.OldestRevision(), oldest)
			}
			rare := slices.DeleteFunc(slices.Clone(rare), func(revision uint64) bool { return revision < oldest })
			for _, after := range []uint64{0, 1, 2, oldest - 1, oldest, 255, 256, 257, 511, 1400, 1700, bumps, bumps + 1, bumps + 2, math.MaxUint64 - 1, math.MaxUint64} {
				checkFrom(t, fmt.Sprintf("keep %d, %s, after %d", keep, name, after), r, after, rare)
			}
		}
	}
}

func checkFrom(t *testing.T, name string, r fsm.Registry, after uint64, rare []uint64) {
	next := max(r.OldestRevision(), min(after, r.Revision())+1)
	for tx, err := range r.History(after) {
		if err != nil || tx.Revision != next {
			t.Fatalf("%s: revision %d in the place of %d, %v", name, tx.Revision, next, err)
		}
		next++
		if next > after+600 {
			break // readers may stop where they like
		}
	}
	if next <= r.Revision() && next <= after+600 {
		t.Errorf("%s: the history ends before %d", name, next)
	}
	i, _ := slices.BinarySearch(rare, min(after, math.MaxUint64-1)+1)
	if got := slices.Collect(r.EntityRevisions("component:1", after)); diff(rare[i:], got) != "" {
		t.Errorf("%s: revisions of the rare entity:\n%s", name, diff(rare[i:], got))
	}
	var got []uint64
	for tx, err := range r.EntityHistory("component:1", after) {
		if err != nil || !slices.ContainsFunc(tx.Changes, func(c fsm.Change) bool { return c.EntityID == "component:1" }) {
			t.Fatalf("%s: transaction %d is not of the entity, %v", name, tx.Revision, err)
		}
		got = append(got, tx.Revision)
	}
	if diff(rare[i:], got) != "" {
		t.Errorf("%s: history of the rare entity:\n%s", name, diff(rare[i:], got))
	}
}

// TestHistoryIsTrimmedOneByOne looks at the oldest transaction after each commit, also
// where it is the last of a block or the first.
func TestHistoryIsTrimmedOneByOne(t *testing.T) {
	m := fsm.New()
	apply(m, founding(2), manyEntities(1))
	for revision := uint64(2); revision < 600; revision++ {
		apply(m, bumpOf("component:0"))
		r, _ := m.View().Registry(defaultRegistry)
		if r.OldestRevision() != revision-1 {
			t.Fatalf("at revision %d the oldest is %d", revision, r.OldestRevision())
		}
		if tx, err := r.Transaction(revision - 1); err != nil || tx.Revision != revision-1 {
			t.Fatalf("at revision %d the oldest is %d, %v", revision, tx.Revision, err)
		}
		for tx, err := range r.EntityHistory("component:0", 0) {
			if err != nil || tx.Revision != revision-1 {
				t.Fatalf("at revision %d the entity's oldest is %d, %v", revision, tx.Revision, err)
			}
			break
		}
	}
}

func TestHistoryOfWhatIsNotThere(t *testing.T) {
	m := fsm.New()
	m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(0)}})
	r, ok := m.View().Registry(defaultRegistry)
	if !ok || r.Revision() != 0 || r.OldestRevision() != 1 || r.LastTimestamp() != 0 || r.Len() != 0 {
		t.Errorf("a fresh registry: %v, %d, %d", ok, r.Revision(), r.OldestRevision())
	}
	for tx, err := range r.History(0) {
		t.Error("a fresh registry has the transaction", tx, err)
	}
	for tx, err := range r.EntityHistory("nobody", 0) {
		t.Error("an unknown entity has the transaction", tx, err)
	}
	if _, err := r.Transaction(0); !errors.Is(err, fsm.ErrNoRevision) {
		t.Error("revision 0:", err)
	}
	if _, ok := m.View().Registry("none"); ok {
		t.Error("a registry that nobody made exists")
	}
}

// TestLargeTransactions has records larger than a block.
func TestLargeTransactions(t *testing.T) {
	m := fsm.New()
	m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(0), manyEntities(4000)}})
	for i := range uint64(4) {
		m.Apply(i+2, fsm.Entry{Stamp: 1, Commands: []fsm.Command{{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Patch, Cascade: true}},
			{Registry: defaultRegistry, Op: fsm.Bump{Scope: fsm.Patch, EntityID: "component:7"}}}})
	}
	r, _ := restore(t, snapshot(t, m.View())).View().Registry(defaultRegistry)
	if got := slices.Collect(r.EntityRevisions("component:7", 0)); len(got) != 9 {
		t.Error("component:7 moved in", got)
	}
	tx, err := r.Transaction(8)
	if err != nil || len(tx.Changes) != 4001 || tx.Changes[0].EntityID != "global:main" || tx.Changes[1].EntityID != "component:0" || tx.Changes[2].EntityID != "component:1" ||
		tx.Changes[3].EntityID != "component:10" {
		t.Error("a bump of everything:", len(tx.Changes), err)
	}
}

func TestEntitiesFromAnywhere(t *testing.T) {
	m := fsm.New()
	m.Apply(1, fsm.Entry{Stamp: 1, Commands: []fsm.Command{founding(0), manyEntities(20), {Registry: defaultRegistry, Op: fsm.Delete{EntityID: "component:5"}}}})
	r, _ := m.View().Registry(defaultRegistry)
	var all []string
	for e := range r.Entities("") {
		all = append(all, e.ID)
	}
	if len(all) != 20 || r.Len() != 20 || !slices.IsSorted(all) {
		t.Fatalf("%d entities: %q", r.Len(), all)
	}
	for _, after := range append(all, "component:5", "a", "component:", "zzz") {
		var got []string
		for e := range r.Entities(after) {
			got = append(got, e.ID)
		}
		i, found := slices.BinarySearch(all, after)
		if found {
			i++
		}
		if d := diff(all[i:], got); d != "" {
			t.Errorf("entities after %q:\n%s", after, d)
		}
	}
	if _, ok := r.Entity("component:5"); ok {
		t.Error("a deleted entity exists")
	}
}
