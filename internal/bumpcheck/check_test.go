package bumpcheck_test

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/watchcheck"
)

// story is a small registry and what three clients did: a bump of "a" with its cascade to "b", a
// bump of "b" alone whose outcome stayed unknown, and reads before, between and after.
func story() (*bumpcheck.History, *bumpcheck.Record) {
	transaction := func(revision uint64, id string, changes ...watchcheck.Change) watchcheck.Transaction {
		return watchcheck.Transaction{Event: watchcheck.Event{Revision: revision, TransactionID: id, Changes: changes, Payload: "payload " + id}}
	}
	h := &bumpcheck.History{
		History: &watchcheck.History{Transactions: []watchcheck.Transaction{
			transaction(1, "t1", watchcheck.Change{EntityID: "a", NewVersion: "1.0.0", DisplayName: "A"}, watchcheck.Change{EntityID: "b", NewVersion: "1.0.0", DisplayName: "B"}),
			transaction(2, "t2", watchcheck.Change{EntityID: "a", OldVersion: "1.0.0", NewVersion: "1.0.1", DisplayName: "A"},
				watchcheck.Change{EntityID: "b", OldVersion: "1.0.0", NewVersion: "1.0.1", DisplayName: "B"}),
			transaction(3, "t3", watchcheck.Change{EntityID: "b", OldVersion: "1.0.1", NewVersion: "2.0.0", DisplayName: "B"}),
		}},
		Names: []string{"seed", "first", "second"},
		Seed:  []bumpcheck.Entity{{ID: "a", Version: "1.0.0", Name: "A"}, {ID: "b", Version: "1.0.0", Name: "B", Parent: "a", Linked: true}},
		Sign:  func(payload string) string { return "signed " + payload },
	}
	first := bumpcheck.Answer{Node: "n1", Revision: 2, TransactionID: "t2", Changes: h.Transactions[1].Changes, Signature: "signed payload t2"}
	match := uint64(1)
	r := &bumpcheck.Record{Clock: 20, Writes: []bumpcheck.Write{
		{Client: 1, Call: 3, Return: 6, Outcome: bumpcheck.Acknowledged, Answers: []bumpcheck.Answer{first, first},
			Request: bumpcheck.Request{Name: "first", IfMatch: &match, Bumps: []bumpcheck.Bump{{Scope: 3, Entity: "a", Cascade: true, Expected: "1.0.0"}}}},
		{Client: 2, Call: 7, Return: 8, Outcome: bumpcheck.Unknown, Request: bumpcheck.Request{Name: "second", Bumps: []bumpcheck.Bump{{Scope: 1, Entity: "b"}}}},
		{Client: 3, Call: 9, Return: 10, Outcome: bumpcheck.NotApplied, Request: bumpcheck.Request{Name: "third", Bumps: []bumpcheck.Bump{{Scope: 1, Entity: "b"}}}},
		{Client: 3, Call: 11, Return: 12, Outcome: bumpcheck.Refused, Refusal: bumpcheck.Refusal{Code: "VERSION_CONFLICT", Entity: "a", Actual: "1.0.1"},
			Request: bumpcheck.Request{Name: "fourth", Bumps: []bumpcheck.Bump{{Scope: 1, Entity: "a", Expected: "1.0.0"}}}},
	}, Reads: []bumpcheck.Read{
		{Client: 4, Node: "n2", Call: 1, Return: 2, Revision: 1, Saw: []bumpcheck.Seen{{Entity: "a", Version: "1.0.0", Name: "A"}, {Entity: "c"}}},
		{Client: 4, Node: "n2", Call: 13, Return: 14, Revision: 2, AtLeast: 2, Saw: []bumpcheck.Seen{{Entity: "b", Version: "1.0.1", Name: "B"}}},
		{Client: 4, Node: "n3", Call: 15, Return: 16, Revision: 3, Saw: []bumpcheck.Seen{{Entity: "b", Version: "2.0.0", Name: "B"}}},
		{Client: 5, Node: "n3", Call: 17, Return: 18, Revision: 1, Stale: true, Saw: []bumpcheck.Seen{{Entity: "b", Version: "1.0.0", Name: "B"}}},
	}}
	return h, r
}

// TestCheck has each property broken once, and no more than what must break with it.
func TestCheck(t *testing.T) {
	tests := []struct {
		name  string
		finds bumpcheck.Property // "" for nothing
		spoil func(*bumpcheck.History, *bumpcheck.Record)
	}{
		{"as it should be", "", func(*bumpcheck.History, *bumpcheck.Record) {}},
		{"unknown, and never carried out", "", func(h *bumpcheck.History, r *bumpcheck.Record) {
			h.Transactions, r.Reads = h.Transactions[:2], r.Reads[:2]
		}},
		{"lost", bumpcheck.Kept, func(h *bumpcheck.History, r *bumpcheck.Record) {
			h.Transactions, r.Reads = h.Transactions[:1], r.Reads[:1]
		}},
		{"told otherwise", bumpcheck.Kept, func(_ *bumpcheck.History, r *bumpcheck.Record) {
			for i := range r.Writes[0].Answers {
				r.Writes[0].Answers[i].TransactionID = "t9"
			}
		}},
		{"a repeat with another answer", bumpcheck.Once, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Writes[0].Answers[1].Revision = 3 }},
		{"carried out twice", bumpcheck.Once, func(h *bumpcheck.History, _ *bumpcheck.Record) { h.Names[2] = "first" }},
		{"carried out, and told that it was not", bumpcheck.Unapplied, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Writes[1].Outcome = bumpcheck.NotApplied }},
		{"half a cascade", bumpcheck.Sequential, func(h *bumpcheck.History, _ *bumpcheck.Record) {
			h.Transactions[1].Changes = h.Transactions[1].Changes[:1]
		}},
		{"a version left out", bumpcheck.Sequential, func(h *bumpcheck.History, _ *bumpcheck.Record) { h.Transactions[2].Changes[0].NewVersion = "3.0.0" }},
		{"nobody asked for it", bumpcheck.Sequential, func(h *bumpcheck.History, _ *bumpcheck.Record) { h.Names[2] = "nobody" }},
		{"If-Match ignored", bumpcheck.Conditional, func(_ *bumpcheck.History, r *bumpcheck.Record) { *r.Writes[0].Request.IfMatch = 0 }},
		{"expected version ignored", bumpcheck.Conditional, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Writes[0].Request.Bumps[0].Expected = "0.9.0" }},
		{"refused for what it asked for", bumpcheck.Conditional, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Writes[3].Refusal.Actual = "1.0.0" }},
		{"a read of the past", bumpcheck.Ordered, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Reads[3].Stale = false }},
		{"a write before what was known", bumpcheck.Ordered, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Writes[1].Call, r.Writes[1].Return = 19, 20 }},
		{"a read below what it asked for", bumpcheck.Served, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Reads[1].AtLeast = 3 }},
		{"a read of what was not", bumpcheck.Served, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Reads[1].Saw[0].Version = "1.0.2" }},
		{"a read of what is not committed", bumpcheck.Served, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Reads[2].Revision = 4 }},
		{"a signature of something else", bumpcheck.Signed, func(_ *bumpcheck.History, r *bumpcheck.Record) { r.Writes[0].Answers[0].Signature = "signed" }},
		{"a refusal of the past", bumpcheck.Linearizable, func(_ *bumpcheck.History, r *bumpcheck.Record) {
			r.Writes[3].Refusal.Actual = "1.0.0"
			r.Writes[3].Request.Bumps[0].Expected = "1.0.1"
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, r := story()
			test.spoil(h, r)
			var says []string
			for _, v := range bumpcheck.Check(h, r) {
				says = append(says, v.Error())
			}
			all := strings.Join(says, "\n")
			switch found := strings.Contains(all, string(test.finds)+": "); {
			case test.finds == "" && len(says) > 0:
				t.Errorf("it finds %s", all)
			case test.finds != "" && !found:
				t.Errorf("it finds %q, and not that it is not %s", all, test.finds)
			}
		})
	}
}

// TestManyReadersAtOnce has the search end in spite of many reads beside a write that came late.
func TestManyReadersAtOnce(t *testing.T) {
	h, r := story()
	r.Reads = nil
	for i := range 60 {
		at := int64(i)
		r.Reads = append(r.Reads,
			bumpcheck.Read{Client: 10 + i, Call: 7 + at, Return: 300 + at, Revision: 2, Saw: []bumpcheck.Seen{{Entity: "b", Version: "1.0.1", Name: "B"}}},
			bumpcheck.Read{Client: 100 + i, Call: 70 + at, Return: 400 + at, Revision: 3, Saw: []bumpcheck.Seen{{Entity: "b", Version: "2.0.0", Name: "B"}}})
	}
	r.Clock = 1000
	if found := bumpcheck.Check(h, r); len(found) > 0 {
		t.Error(found[0])
	}
}

// bumps is the story of "b" alone, bumped so many times by as many clients; when says when each
// bump was called and returned.
func bumps(n int, when func(i int64) (call, ret int64)) (*bumpcheck.History, *bumpcheck.Record) {
	h, r := story()
	h.Transactions, h.Names, r.Writes, r.Reads = h.Transactions[:1], h.Names[:1], nil, nil
	for i := range n {
		name, revision := strconv.Itoa(i), uint64(i+2)
		changes := []watchcheck.Change{{EntityID: "b", OldVersion: "1.0." + name, NewVersion: "1.0." + strconv.Itoa(i+1), DisplayName: "B"}}
		h.Transactions = append(h.Transactions, watchcheck.Transaction{
			Event: watchcheck.Event{Revision: revision, TransactionID: name, Changes: changes},
		})
		h.Names = append(h.Names, name)
		w := bumpcheck.Write{
			Client: i, Outcome: bumpcheck.Acknowledged,
			Request: bumpcheck.Request{Name: name, Bumps: []bumpcheck.Bump{{Scope: 3, Entity: "b"}}},
			Answers: []bumpcheck.Answer{{Revision: revision, TransactionID: name, Changes: changes}},
		}
		w.Call, w.Return = when(int64(i))
		r.Writes = append(r.Writes, w)
		r.Clock = max(r.Clock, w.Return+1000)
	}
	return h, r
}

// TestLongHistory has the search take no more memory for each access than for a short history, also
// where nobody was told of many writes and others were called long before they returned.
func TestLongHistory(t *testing.T) {
	const length = 20_000
	h, r := bumps(length, func(i int64) (call, ret int64) { return 10 * i, 10*i + 2000 })
	for i := range r.Writes {
		w, at := &r.Writes[i], 10*int64(i)
		for k := range 3 {
			r.Reads = append(r.Reads, bumpcheck.Read{
				Client: length + k, Call: at + int64(k), Return: at + 400 + int64(k), Revision: w.Answers[0].Revision,
				Saw: []bumpcheck.Seen{{Entity: "b", Version: w.Answers[0].Changes[0].NewVersion, Name: "B"}},
			})
		}
		if i%3 > 0 {
			w.Outcome, w.Answers = bumpcheck.Unknown, nil
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, found := range bumpcheck.Check(h, r) {
		t.Error(found)
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / length; took > 20<<10 {
		t.Errorf("it takes %d bytes of memory for each write", took)
	}
}

// TestManyWritersAtOnce has those who were called last be carried out first, all of them before any
// returned.
func TestManyWritersAtOnce(t *testing.T) {
	const writers = 100
	h, r := bumps(writers, func(i int64) (call, ret int64) { return writers - i, 2*writers - i })
	for _, found := range bumpcheck.Check(h, r) {
		t.Error(found)
	}
}
