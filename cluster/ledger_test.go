package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// ledger holds what clients were told of their commands, none of which they repeat, and
// compares it with the history in the end.
type ledger struct {
	mu      sync.Mutex
	acked   map[string]uint64 // by actor, which names the command: its revision
	refused map[string]error  // those of which the error says that they were not applied
	unknown map[string]error
}

func newLedger() *ledger {
	return &ledger{acked: make(map[string]uint64), refused: make(map[string]error), unknown: make(map[string]error)}
}

// bump bumps an entity once and notes what came of it.
func (l *ledger) bump(t *testing.T, n *clustertest.Node, name string) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := patch("api:a")
	c.Actor = name
	began := time.Now()
	result, err := n.Propose(ctx, c)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%s took %v, beyond its deadline", name, took)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && result.Refusal != nil:
		t.Errorf("%s: %v", name, result.Refusal)
	case err == nil:
		l.acked[name] = result.Revision
	case errors.Is(err, cluster.ErrUnknownOutcome):
		l.unknown[name] = err
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrNotReady), errors.Is(err, cluster.ErrShuttingDown):
		l.refused[name] = err
	default:
		t.Errorf("%s: %v is no error that a client knows", name, err)
	}
	return err
}

// load has every node bump every some milliseconds until the returned function is
// called, which waits for the last ones.
func (l *ledger) load(t *testing.T, c *clustertest.Cluster, each int) (stop func()) {
	end := make(chan struct{})
	var group sync.WaitGroup
	for i, n := range c.Nodes {
		for client := range each {
			group.Go(func() {
				for k := 0; ; k++ {
					select {
					case <-end:
						return
					case <-time.After(time.Duration(15+i+client) * time.Millisecond):
						l.bump(t, n, fmt.Sprintf("%s/%d/%d", n.ID, client, k))
					}
				}
			})
		}
	}
	return func() { close(end); group.Wait() }
}

// check holds the history against what the clients were told: what was acknowledged
// is there once, at that revision; what was refused is not there; no version is given
// twice or left out.
func (l *ledger) check(t *testing.T, view fsm.View) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	found := make(map[string]uint64)
	for i, transaction := range history(t, view) {
		if twice, ok := found[transaction.Actor]; ok {
			t.Errorf("%s is in the history at revisions %d and %d", transaction.Actor, twice, transaction.Revision)
		}
		found[transaction.Actor] = transaction.Revision
		if got, want := transaction.Changes[0].NewVersion, fmt.Sprintf("1.0.%d", i+1); got != want {
			t.Errorf("%s was given version %s, want %s", transaction.Actor, got, want)
		}
		if err := l.refused[transaction.Actor]; err != nil {
			t.Errorf("%s was applied, but its client was told: %v", transaction.Actor, err)
		}
	}
	for name, revision := range l.acked {
		if found[name] != revision {
			t.Errorf("%s was acknowledged at revision %d and is at %d", name, revision, found[name])
		}
	}
	t.Logf("%d acknowledged, %d refused, %d unknown", len(l.acked), len(l.refused), len(l.unknown))
}

// history returns the transactions after the one that seeded the registry.
func history(t *testing.T, view fsm.View) []fsm.Transaction {
	t.Helper()
	r, ok := view.Registry(clustertest.Registry)
	if !ok {
		t.Fatal("there is no registry")
	}
	var all []fsm.Transaction
	for transaction, err := range r.History(1) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, transaction)
	}
	return all
}

// sameHistory waits until the nodes agree, and compares their histories, hashes and
// all. It returns the common view.
func sameHistory(t *testing.T, c *clustertest.Cluster) fsm.View {
	t.Helper()
	view := c.Agree()
	want := history(t, view)
	for i, transaction := range want[min(1, len(want)):] {
		if transaction.PreviousHash != want[i].Hash {
			t.Errorf("revision %d does not follow from the one before", transaction.Revision)
		}
	}
	for _, n := range c.Nodes {
		if diff := cmp.Diff(want, history(t, n.View())); diff != "" {
			t.Errorf("%s has another history:\n%s", n.ID, diff)
		}
	}
	return view
}
