package chaos_test

import (
	"slices"
	"sync"
	"testing"
)

// mostTries is how often a kind of fault is due at most: what chance decides may never bite.
const mostTries = 6

// agenda has the kinds of faults that a campaign must come to: each is due until it had an effect. Clusters
// that suffer side by side share it.
type agenda struct {
	mu    sync.Mutex
	kinds []*kind // those that had none yet, in the order in which they come
}

// kind is one kind of fault that had no effect yet.
type kind struct {
	name   string
	chosen bool // and has not struck
	tries  int
}

func newAgenda(names []string) *agenda {
	a := new(agenda)
	for _, name := range names {
		a.kinds = append(a.kinds, &kind{name: name})
	}
	return a
}

// next chooses a kind of fault that is due and is one of these; "" if there is none. Whoever asks has it
// strike, and tells what came of it; nobody else is given it until then.
func (a *agenda) next(one func(name string) bool) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.kinds {
		if k.due() && !k.chosen && one(k.name) {
			k.chosen = true
			return k.name
		}
	}
	return ""
}

func (k *kind) due() bool { return k.tries < mostTries }

// came notes that a kind of fault has struck, chosen here or not. One without effect is due again, after all others.
func (a *agenda) came(name string, bit bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.IndexFunc(a.kinds, func(k *kind) bool { return k.name == name })
	if i < 0 {
		return
	}
	k := a.kinds[i]
	a.kinds = slices.Delete(a.kinds, i, i+1)
	if !bit {
		k.tries, k.chosen = k.tries+1, false
		a.kinds = append(a.kinds, k)
	}
}

// done reports whether nothing is due any more.
func (a *agenda) done() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !slices.ContainsFunc(a.kinds, (*kind).due)
}

// missed returns the kinds that never had an effect.
func (a *agenda) missed() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, k := range a.kinds {
		names = append(names, k.name)
	}
	return names
}

// TestAgenda has kinds of faults strike, some of them without effect.
func TestAgenda(t *testing.T) {
	a := newAgenda([]string{"a", "b", "c"})
	any := func(string) bool { return true }
	next := func(want string) {
		t.Helper()
		if got := a.next(any); got != want {
			t.Fatalf("%q is due, want %q", got, want)
		}
	}
	if got := a.next(func(name string) bool { return name == "b" }); got != "b" {
		t.Fatalf("%q is due, want b", got)
	}
	next("a")
	next("c")
	next("") // all are under way
	if a.done() {
		t.Error("nothing is due, and nothing had an effect")
	}
	a.came("a", false)
	a.came("other", true)
	next("a")
	a.came("b", true)
	a.came("c", false)
	a.came("a", true)
	for range mostTries - 1 {
		if a.done() {
			t.Error("c is not due, and had no effect")
		}
		next("c")
		a.came("c", false)
	}
	next("")
	if got := a.missed(); !a.done() || !slices.Equal(got, []string{"c"}) {
		t.Errorf("in the end done is %t and %q missed", a.done(), got)
	}
	if a.came("c", true); len(a.missed()) > 0 { // by chance
		t.Errorf("%q missed, and it had an effect", a.missed())
	}
}
