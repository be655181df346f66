package watchcheck_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tesd/tesd/internal/watchcheck"
)

type (
	step   = watchcheck.Step
	stream = watchcheck.Stream
)

// history is ten transactions that move a and b in turn, the sixth both. From revision 8 on
// the oldest that is kept is 4.
func history() *watchcheck.History {
	h := &watchcheck.History{ClusterID: "c1", TypeOf: func(id string) string {
		return map[string]string{"component:a": "component", "api:b": "api-scope", "tool:gone": "cli-tool"}[id]
	}}
	previous := strings.Repeat("0", 64)
	for r := uint64(1); r <= 10; r++ {
		t := watchcheck.Transaction{PreviousHash: previous}
		t.Revision, t.Kind, t.TransactionID, t.Timestamp = r, "bump", fmt.Sprint("tx", r), int64(1000+r)
		for i, id := range []string{"component:a", "api:b"} {
			if r == 6 || r%2 == uint64(i) {
				t.Changes = append(t.Changes, watchcheck.Change{EntityID: id, NewVersion: fmt.Sprintf("1.0.%d", r)})
			}
		}
		if r == 9 {
			t.Changes = []watchcheck.Change{{EntityID: "tool:gone", OldVersion: "1.0.0"}}
		}
		t.Payload = fmt.Sprintf(`{"previousHash":"%s","transactionId":"tx%d"}`, previous, r)
		sum := sha256.Sum256([]byte(t.Payload))
		t.Hash = hex.EncodeToString(sum[:])
		previous = t.Hash
		h.Transactions = append(h.Transactions, t)
		h.Oldest = append(h.Oldest, 1)
	}
	h.Oldest = append(h.Oldest[:8], 4, 4, 4)
	return h
}

func connect(since uint64) step { return step{Kind: watchcheck.Connect, Node: "n1", Since: since} }

func fromNow(floor uint64) step {
	return step{Kind: watchcheck.Connect, Node: "n1", Now: true, Floor: floor}
}

func hello(revision uint64) step {
	return step{Kind: watchcheck.Hello, Revision: revision, ClusterID: "c1"}
}

func bookmark(revision uint64) step { return step{Kind: watchcheck.Bookmark, Revision: revision} }

func compacted(oldest, ceiling uint64) step {
	return step{Kind: watchcheck.Gap, Code: watchcheck.Compacted, Oldest: oldest, Ceiling: ceiling}
}

func leave() step { return step{Kind: watchcheck.Disconnect} }

// tell makes steps of the history's transactions.
func tell(revisions ...uint64) (steps []step) {
	h := history()
	for _, r := range revisions {
		e := h.Transactions[r-1].Event
		steps = append(steps, step{Kind: watchcheck.Told, Revision: r, Event: &e})
	}
	return steps
}

// altered is an event that was changed on its way.
func altered(r uint64, change func(*watchcheck.Event)) step {
	s := tell(r)[0]
	s.Event.Changes = slices.Clone(s.Event.Changes)
	change(s.Event)
	return s
}

// steps joins steps and lists of them.
func steps(parts ...any) (all []step) {
	for _, p := range parts {
		switch p := p.(type) {
		case step:
			all = append(all, p)
		case []step:
			all = append(all, p...)
		}
	}
	return all
}

func TestHistory(t *testing.T) {
	if err := history().Check(); err != nil {
		t.Errorf("a good history: %v", err)
	}
	for name, damage := range map[string]func(*watchcheck.History){
		"a hole":    func(h *watchcheck.History) { h.Transactions = slices.Delete(h.Transactions, 3, 4) },
		"no chain":  func(h *watchcheck.History) { h.Transactions[4].PreviousHash = h.Transactions[2].Hash },
		"a hash":    func(h *watchcheck.History) { h.Transactions[9].Hash = "00" },
		"a payload": func(h *watchcheck.History) { h.Transactions[9].Payload = h.Transactions[8].Payload },
		"an id":     func(h *watchcheck.History) { h.Transactions[7].TransactionID = "tx9" },
	} {
		h := history()
		damage(h)
		if h.Check() == nil {
			t.Errorf("a history with the damage of %s passes", name)
		}
	}
}

// TestGoodStreams passes what keeps all promises.
func TestGoodStreams(t *testing.T) {
	only := func(entity, kind string) watchcheck.Filter { return watchcheck.Filter{Entity: entity, Type: kind} }
	all := tell(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	for name, s := range map[string]stream{
		"all":                 {Steps: steps(connect(0), hello(0), all)},
		"hops":                {Steps: steps(connect(0), hello(0), all[:4], leave(), connect(4), leave(), connect(4), hello(4), all[4:])},
		"an older place":      {Steps: steps(connect(6), hello(6), all[6:], leave(), connect(2), hello(2), all[2:])},
		"from now":            {Steps: steps(fromNow(5), hello(6), all[6:])},
		"without a hello":     {Steps: steps(fromNow(5), all[6:], bookmark(10))},
		"bookmarks":           {Steps: steps(connect(0), bookmark(0), all[:3], bookmark(3), bookmark(3), all[3:], bookmark(10))},
		"an entity":           {Filter: only("comp*:?", ""), Steps: steps(connect(0), hello(0), tell(2, 4), bookmark(5), tell(6, 8, 10), bookmark(10))},
		"a type":              {Filter: only("", "api-scope"), Steps: steps(connect(0), hello(0), tell(1, 3, 5, 6, 7), bookmark(10))},
		"a type that is gone": {Filter: only("", "cli-tool"), Steps: steps(connect(0), hello(0), tell(9), bookmark(10))},
		"a gap":               {Steps: steps(connect(1), compacted(4, 8), leave(), connect(3), hello(3), all[3:])},
		"a gap untold":        {Steps: steps(connect(2), compacted(0, 9), leave(), connect(3), hello(3), all[3:])},
		"overtaken":           {Steps: steps(connect(0), hello(0), all[:2], compacted(4, 10), leave(), fromNow(8), hello(8), all[8:])},
		"ahead": {Steps: steps(step{Kind: watchcheck.Connect, Since: 9, Floor: 8},
			step{Kind: watchcheck.Gap, Code: watchcheck.Ahead}, leave(), connect(9), hello(9), all[9:])},
	} {
		s.Watcher = name
		for _, v := range watchcheck.CheckComplete(history(), &s) {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// TestBrokenStreams breaks each property on purpose, and it is named.
func TestBrokenStreams(t *testing.T) {
	tests := []struct {
		name   string
		want   watchcheck.Property
		filter watchcheck.Filter
		steps  []step
	}{
		{"one that was deleted, of another type", watchcheck.Filtered, watchcheck.Filter{Type: "api-scope"},
			steps(connect(0), tell(1, 3, 5, 6, 7, 9), bookmark(10))},
		{"swapped", watchcheck.Ordered, watchcheck.Filter{}, steps(connect(0), tell(1, 2, 4, 3, 5, 6, 7, 8, 9, 10))},
		{"swapped at the beginning", watchcheck.Ordered, watchcheck.Filter{}, steps(connect(0), tell(2, 1, 3, 4, 5, 6, 7, 8, 9, 10))},
		{"twice", watchcheck.Unique, watchcheck.Filter{}, steps(connect(0), tell(1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10))},
		{"twice after a while", watchcheck.Unique, watchcheck.Filter{}, steps(connect(7), tell(8, 9, 10, 8))},
		{"half of the changes", watchcheck.Atomic, watchcheck.Filter{},
			steps(connect(5), altered(6, func(e *watchcheck.Event) { e.Changes = e.Changes[:1] }), tell(7, 8, 9, 10))},
		{"another version", watchcheck.Atomic, watchcheck.Filter{},
			steps(connect(8), altered(9, func(e *watchcheck.Event) { e.Changes[0].OldVersion = "2.0.0" }), tell(10))},
		{"another transaction", watchcheck.Atomic, watchcheck.Filter{},
			steps(connect(8), altered(9, func(e *watchcheck.Event) { e.TransactionID = "tx8" }), tell(10))},
		{"another time", watchcheck.Atomic, watchcheck.Filter{},
			steps(connect(9), altered(10, func(e *watchcheck.Event) { e.Timestamp++ }))},
		{"another receipt", watchcheck.Atomic, watchcheck.Filter{},
			steps(connect(9), altered(10, func(e *watchcheck.Event) { e.Payload = "{}" }))},
		{"from the future", watchcheck.Atomic, watchcheck.Filter{},
			steps(connect(9), tell(10), altered(10, func(e *watchcheck.Event) { e.Revision = 11 }))},
		{"left out", watchcheck.Reliable, watchcheck.Filter{}, steps(connect(0), tell(1, 2, 4, 5, 6, 7, 8, 9, 10))},
		{"never told", watchcheck.Reliable, watchcheck.Filter{}, steps(connect(0), hello(0), tell(1, 2, 3, 4, 5, 6, 7, 8))},
		{"left out of what is admitted", watchcheck.Reliable, watchcheck.Filter{Entity: "component:*"}, steps(connect(0), tell(2, 4, 8, 10))},
		{"skipped at the beginning", watchcheck.Resumable, watchcheck.Filter{}, steps(connect(3), hello(3), tell(5, 6, 7, 8, 9, 10))},
		{"old news", watchcheck.Resumable, watchcheck.Filter{}, steps(connect(7), hello(7), tell(7, 8, 9, 10))},
		{"another place", watchcheck.Resumable, watchcheck.Filter{}, steps(connect(7), hello(6), tell(8, 9, 10))},
		{"a bookmark too early", watchcheck.Bookmarkable, watchcheck.Filter{Type: "component"},
			steps(connect(0), tell(2, 4), bookmark(7), tell(6, 8, 10), bookmark(10))},
		{"a bookmark in place of an event", watchcheck.Bookmarkable, watchcheck.Filter{Type: "component"}, steps(connect(6), bookmark(10))},
		{"a bookmark that goes back", watchcheck.Bookmarkable, watchcheck.Filter{}, steps(connect(6), tell(7, 8, 9, 10), bookmark(9))},
		{"a bookmark of the future", watchcheck.Bookmarkable, watchcheck.Filter{}, steps(connect(9), tell(10), bookmark(11))},
		{"against the filter", watchcheck.Filtered, watchcheck.Filter{Entity: "component:a"}, steps(connect(6), tell(7, 8, 10), bookmark(10))},
		{"against the type", watchcheck.Filtered, watchcheck.Filter{Type: "api-scope"}, steps(connect(6), tell(7, 8), bookmark(10))},
		{"a hello of old", watchcheck.Fresh, watchcheck.Filter{}, steps(fromNow(7), hello(6), tell(7, 8, 9, 10))},
		{"a hello of the future", watchcheck.Fresh, watchcheck.Filter{}, steps(fromNow(7), hello(11), bookmark(11))[:2]},
		{"an event of old", watchcheck.Fresh, watchcheck.Filter{}, steps(fromNow(7), tell(7, 8, 9, 10))},
		{"a gap that is none", watchcheck.TrueGap, watchcheck.Filter{}, steps(connect(3), compacted(4, 10), leave(), connect(9), tell(10))},
		{"a gap too early", watchcheck.TrueGap, watchcheck.Filter{}, steps(connect(1), compacted(4, 7), leave(), connect(9), tell(10))},
		{"a gap with another beginning", watchcheck.TrueGap, watchcheck.Filter{}, steps(connect(1), compacted(5, 10), leave(), connect(9), tell(10))},
		{"ahead of what is there", watchcheck.TrueGap, watchcheck.Filter{}, steps(step{Kind: watchcheck.Connect, Since: 5, Floor: 6},
			step{Kind: watchcheck.Gap, Code: watchcheck.Ahead}, leave(), connect(9), tell(10))},
		{"another cluster", watchcheck.TrueGap, watchcheck.Filter{},
			steps(connect(5), step{Kind: watchcheck.Gap, Code: watchcheck.Changed}, leave(), connect(9), tell(10))},
		{"a late hello", watchcheck.Protocol, watchcheck.Filter{}, steps(connect(8), tell(9), hello(8), tell(10))},
		{"two hellos", watchcheck.Protocol, watchcheck.Filter{}, steps(connect(9), hello(9), hello(9), tell(10))},
		{"a hello of another cluster", watchcheck.Protocol, watchcheck.Filter{},
			steps(connect(9), step{Kind: watchcheck.Hello, Revision: 9, ClusterID: "c2"}, tell(10))},
		{"after the end", watchcheck.Protocol, watchcheck.Filter{}, steps(connect(8), tell(9), leave(), tell(10), connect(10))},
		{"after a gap", watchcheck.Protocol, watchcheck.Filter{}, steps(connect(1), compacted(4, 10), tell(2), leave(), connect(10))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found := watchcheck.CheckComplete(history(), &stream{Watcher: "w", Filter: test.filter, Steps: test.steps})
			for _, v := range found {
				if !strings.HasPrefix(v.Error(), string(test.want)+": watcher w") {
					t.Errorf("it is also %v", v)
				}
			}
			if len(found) == 0 {
				t.Errorf("it is not found to be not %s", test.want)
			}
		})
	}
}
