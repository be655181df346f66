package chaos_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/watchcheck"
)

// prints stand for the transactions of a registry, from the first on: what they are called, what they change,
// and their place in the chain.
type prints []uint64

func (p *prints) add(id, hash string, changes []watchcheck.Change) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", id, hash, changes))
	*p = append(*p, binary.LittleEndian.Uint64(sum[:]))
}

// differ returns the first revision that is not the same in both, as far as both go; 0 if there is none.
func (p prints) differ(other prints) (revision int) {
	for i := range min(len(p), len(other)) {
		if p[i] != other[i] {
			return i + 1
		}
	}
	return 0
}

// printsOf are those of a history.
func printsOf(h *watchcheck.History) (p prints) {
	for _, t := range h.Transactions {
		p.add(t.TransactionID, t.Hash, t.Changes)
	}
	return p
}

// check holds what a majority had on disk when all nodes were dead, which is at least all that anyone had been told
// of, against the history as it went on. What users were told of is held against that, too: so each transaction
// that was acknowledged was on those disks, as it was told.
func (p prints) check(history prints) error {
	if len(p) > len(history) {
		return fmt.Errorf("revision %d was on the disks of a majority, and is not in the history", len(p))
	}
	if r := p.differ(history); r > 0 {
		return fmt.Errorf("revision %d is in the history as another than it was on the disks of a majority", r)
	}
	return nil
}

// blackout kills all nodes at once, or has them lose their power, in the middle of what else they suffer,
// and reads their disks before it starts them again: all that anyone was told of must be on those of a
// majority. As often as not all but the leader are stopped for a moment before that: what it has then, it
// has alone. kind is which of the two is due, "" for either.
func (o *ordeal) blackout(kind string) error {
	for _, n := range o.Nodes {
		if err := o.up(n); err != nil {
			return fmt.Errorf("before all nodes are dead: %w", err)
		}
	}
	began := time.Now()
	if leader := o.leading(); leader != nil && o.rng.IntN(2) == 0 {
		for _, n := range o.Nodes {
			if n != leader {
				o.Signal(n, syscall.SIGSTOP)
			}
		}
		<-time.After(time.Duration(o.rng.IntN(300)) * time.Millisecond)
	}
	var bit bool
	if kind == unpoweredAll || kind == "" && o.power != nil && o.rng.IntN(2) == 0 {
		var err error
		if bit, err = o.power.lose(o.Nodes...); err != nil {
			return err
		}
		kind = unpoweredAll
	} else {
		bit, kind = o.killedAll(), killedAll
	}
	known := max(o.w.Known(), 1) // the seed is known
	views := make([]disk, len(o.Nodes))
	var group sync.WaitGroup
	for i, n := range o.Nodes {
		group.Go(func() { views[i] = o.readDisk(n, known) })
	}
	group.Wait()
	if all, err := majority(views); err != nil {
		o.w.Fail("revision %d, which users know, and those before it, when all nodes are dead: %w", known, err)
	} else {
		o.marks = append(o.marks, all)
	}
	o.w.Count("disks read while all nodes were dead", len(o.Nodes))
	for _, n := range o.Nodes {
		o.Start(n)
	}
	o.fault(kind, "all nodes", began, bit)
	return nil
}

// killedAll kills all nodes. It bit if that, and nothing else, ended each.
func (o *ordeal) killedAll() bool {
	var processes []*e2e.Process
	for _, n := range o.Nodes {
		processes = append(processes, o.Process(n))
	}
	o.Kill(o.Nodes...)
	return !slices.ContainsFunc(processes, func(p *e2e.Process) bool { return p.Code() != -1 })
}

// majority returns what a majority of disks have, none of which may have anything else.
func majority(disks []disk) (all prints, err error) {
	holders := 0
	for i, d := range disks {
		switch r := d.all.differ(all); {
		case d.err != nil:
			return nil, fmt.Errorf("disk %d cannot be read: %w", i+1, d.err)
		case d.all == nil: // it has not come so far
			continue
		case r > 0:
			return nil, fmt.Errorf("revision %d is not the same on the disks of two nodes", r)
		}
		holders, all = holders+1, d.all
	}
	if holders <= len(disks)/2 {
		return nil, fmt.Errorf("it is on the disks of %d of %d nodes", holders, len(disks))
	}
	return all, nil
}

// leading returns the node that takes itself for the leader, or nil.
func (o *ordeal) leading() *e2e.Node {
	ctx, cancel := context.WithTimeout(o.t.Context(), 2*time.Second)
	defer cancel()
	for _, n := range o.Nodes {
		if health, err := o.Client(n).Health(ctx); err == nil && health.Role == "leader" {
			return n
		}
	}
	return nil
}

// disk is what the disk of a dead node has, up to a revision.
type disk struct {
	all prints // nil if it has not come so far
	err error
}

func (o *ordeal) readDisk(n *e2e.Node, revision uint64) disk {
	dir := n.DataDir
	if o.power != nil { // this process serves the disk, and must not map its files: it would wait for itself
		dir = o.t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(n.DataDir)); err != nil {
			return disk{err: err}
		}
	}
	view, err := cluster.Salvage(dir, hclog.NewNullLogger())
	if err != nil {
		return disk{err: err}
	}
	r, ok := view.Registry(clustertest.Registry)
	if !ok || r.Revision() < revision {
		return disk{}
	}
	var all prints
	for t, err := range r.History(0) {
		if err == nil && t.Revision != uint64(len(all)+1) {
			err = errors.New("it does not follow")
		}
		if err != nil {
			return disk{err: fmt.Errorf("behind revision %d: %w", len(all), err)}
		}
		changes := make([]watchcheck.Change, len(t.Changes))
		for i, c := range t.Changes {
			changes[i] = watchcheck.Change{EntityID: c.EntityID, OldVersion: c.OldVersion, NewVersion: c.NewVersion, DisplayName: c.DisplayName}
		}
		if all.add(t.ID, fmt.Sprintf("%x", t.Hash), changes); t.Revision == revision {
			return disk{all: all}
		}
	}
	return disk{err: fmt.Errorf("it ends behind revision %d, and says that it is at %d", len(all), r.Revision())}
}

// TestMajority has disks of dead nodes judged.
func TestMajority(t *testing.T) {
	one, two := prints{1, 2, 3}, prints{1, 4, 3}
	a, b, none, broken := disk{all: one}, disk{all: two}, disk{}, disk{err: errors.New("broken")}
	tests := []struct {
		disks []disk
		want  prints // nil for an error
	}{
		{[]disk{a, a, a}, one}, {[]disk{none, a, a}, one}, {[]disk{none, none, a}, nil}, {[]disk{none, none, none}, nil},
		{[]disk{a, b, a}, nil}, {[]disk{a, a, broken}, nil}, {[]disk{none, a, a, a, none}, one}, {[]disk{none, a, a, none}, nil},
	}
	for _, test := range tests {
		if got, err := majority(test.disks); !slices.Equal(got, test.want) || (err == nil) != (test.want != nil) {
			t.Errorf("%v: %v, %v; want %v", test.disks, got, err, test.want)
		}
	}
}

// TestPrints has what was on disks held against histories in which a transaction before the last is another, or
// the last is missing.
func TestPrints(t *testing.T) {
	history := func(changed string) (h *watchcheck.History) {
		h = new(watchcheck.History)
		for _, id := range []string{"a", "b", "c", "d"} {
			tx := watchcheck.Transaction{Event: watchcheck.Event{TransactionID: id, Hash: id, Changes: []watchcheck.Change{{EntityID: id, NewVersion: "1.0.0"}}}}
			if id == changed {
				tx.Changes[0].NewVersion = "1.0.1"
			}
			h.Transactions = append(h.Transactions, tx)
		}
		return h
	}
	had := printsOf(history(""))[:3]
	for changed, want := range map[string]string{"": "", "d": "", "b": "revision 2 is in the history as another"} {
		if err := had.check(printsOf(history(changed))); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("with another %q: %v, want %q", changed, err, want)
		}
	}
	if err := had.check(had[:2]); err == nil {
		t.Error("a transaction that is gone is not missed")
	}
}
