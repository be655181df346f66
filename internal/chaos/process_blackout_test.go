package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
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

// mark is a transaction that a majority had on disk when all nodes were dead. By the chain of
// hashes it stands for all before it.
type mark struct {
	revision uint64
	hash     string
}

// check holds it against the history as it went on.
func (m mark) check(h *watchcheck.History) error {
	if m.revision > uint64(len(h.Transactions)) {
		return fmt.Errorf("revision %d was on the disks of a majority, and is not in the history", m.revision)
	}
	if is := h.Transactions[m.revision-1].Hash; is != m.hash {
		return fmt.Errorf("revision %d had hash %s on the disks of a majority, and has %s in the history", m.revision, m.hash, is)
	}
	return nil
}

// blackout kills all nodes at once, or has them lose their power, in the middle of what else they suffer,
// and reads their disks before it starts them again: all that anyone was told of must be on those of a
// majority. As often as not all but the leader are stopped for a moment before that: what it has then, it
// has alone. kind is which of the two is due, "" for either.
func (o *ordeal) blackout(kind string) error {
	for _, n := range o.Nodes {
		if !o.up(n) {
			return fmt.Errorf("%s is not up again before all nodes are dead", n.ID)
		}
	}
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
	if hash, err := majority(views); err != nil {
		o.w.Fail("revision %d, which users know, when all nodes are dead: %w", known, err)
	} else {
		o.marks = append(o.marks, mark{known, hash})
	}
	o.w.Count("disks read while all nodes were dead", len(o.Nodes))
	for _, n := range o.Nodes {
		o.Start(n)
	}
	o.fault(kind, bit)
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

// majority returns the hash that a majority of disks have, none of which may have another.
func majority(disks []disk) (hash string, err error) {
	holders := 0
	for i, d := range disks {
		switch {
		case d.err != nil:
			return "", fmt.Errorf("disk %d cannot be read: %w", i+1, d.err)
		case d.hash == "": // it has not come so far
			continue
		case hash != "" && d.hash != hash:
			return "", errors.New("it is not the same on the disks of two nodes")
		}
		holders, hash = holders+1, d.hash
	}
	if holders <= len(disks)/2 {
		return "", fmt.Errorf("it is on the disks of %d of %d nodes", holders, len(disks))
	}
	return hash, nil
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

// disk is what the disk of a dead node has of a revision.
type disk struct {
	hash string // "" if it is not there
	err  error
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
	t, err := r.Transaction(revision)
	if err != nil {
		return disk{err: err}
	}
	return disk{hash: fmt.Sprintf("%x", t.Hash)}
}

// TestMajority has disks of dead nodes judged.
func TestMajority(t *testing.T) {
	a, b, none, broken := disk{hash: "a"}, disk{hash: "b"}, disk{}, disk{err: errors.New("broken")}
	tests := []struct {
		disks []disk
		want  string // "" for an error
	}{
		{[]disk{a, a, a}, "a"}, {[]disk{none, a, a}, "a"}, {[]disk{none, none, a}, ""}, {[]disk{none, none, none}, ""},
		{[]disk{a, b, a}, ""}, {[]disk{a, a, broken}, ""}, {[]disk{none, a, a, a, none}, "a"}, {[]disk{none, a, a, none}, ""},
	}
	for _, test := range tests {
		if got, err := majority(test.disks); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%v: %q, %v; want %q", test.disks, got, err, test.want)
		}
	}
}
