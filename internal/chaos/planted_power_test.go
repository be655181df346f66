package chaos_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/e2e"
)

// TestPowerLostByAll has all nodes lose their power while users write. Nothing that was acknowledged is
// lost with disks that keep what they say they have synced; with disks that lie the harness notices.
func TestPowerLostByAll(t *testing.T) {
	if testing.Short() {
		t.Skip("two clusters of processes start and start again; without -short it runs")
	}
	if !canLosePower(t) {
		t.Skip("there are no disks here that lose what was not synced")
	}
	t.Setenv("VERSION_SIGNING_KEY", signingKey)
	binary, err := e2e.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, lie := range []bool{false, true} {
		t.Run(fmt.Sprintf("lying=%t", lie), func(t *testing.T) {
			found := acknowledgedThenUnpowered(t, binary, lie)
			kept := 0
			for _, v := range found {
				if strings.Contains(v.Error(), "kept: ") {
					kept++
				}
			}
			switch {
			case lie && kept == 0:
				t.Errorf("acknowledged writes are gone, and nobody noticed: %v", found)
			case !lie && len(found) > 0:
				t.Errorf("%d violations, the first: %v", len(found), found[0])
			}
			t.Logf("%d violations, %d of them of writes that are gone", len(found), kept)
		})
	}
}

// acknowledgedThenUnpowered has users write, and all nodes lose their power meanwhile, and returns
// which promises were broken.
func acknowledgedThenUnpowered(t *testing.T, binary string, lie bool) []error {
	const seed, writes = 1, 50
	c := e2e.New(t, binary)
	s := newTormented(t, c, seed)
	p := empower(s, seed)
	s.migrate()
	visitors, err := s.w.Visit(seed, 16, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	end := sync.OnceValue(visitors.End)
	defer end() // whatever ends the test
	acknowledge := func(n int) { t.Helper(); s.mustWrite(visitors, n, func() {}) }
	acknowledge(writes)
	for _, disk := range p.disks { // any order
		disk.Lie(lie)
	}
	acknowledge(writes)
	bit := false
	for try := 0; !bit; try++ { // a disk may keep all that it need not
		if try == 5 {
			t.Fatal("power was lost, and nothing with it")
		}
		if lie {
			bit = true
			_, err = p.cut(false, s.Nodes...)
		} else {
			bit, err = p.lose(s.Nodes...)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range s.Nodes {
			s.Start(n)
		}
		acknowledge(3 * writes) // or users wait for revisions that are gone
	}
	s.Ready()
	return violations(t, s.w, end())
}

// violations holds what users were told against the history that the cluster has now.
func violations(t *testing.T, w *chaos.World, record *bumpcheck.Record) (found []error) {
	t.Helper()
	archivist, err := w.Archive()
	if err != nil {
		t.Fatal(err)
	}
	h, err := archivist.History(w.Committed(t.Context()), 0)
	if err != nil {
		t.Fatal(err)
	}
	named, err := chaos.Named(h, signingKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range bumpcheck.Check(named, record) {
		found = append(found, v)
	}
	return found
}
