package chaos_test

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/lan"
)

// ordeal is a cluster of processes that suffers, and those who use it.
type ordeal struct {
	*tormented
	campaign  *campaign
	on        environment
	archivist *chaos.Archivist
	visitors  *chaos.Visitors
	power     *power   // nil if it is not lost
	network   *lan.LAN // nil if it does not fail
	luck      uint64   // the seed of what chance says of calamities
	struck    atomic.Uint64
	files     int          // that all processes had open in the beginning
	slow      atomic.Int32 // faults under way that take long
	marks     []prints     // what was on disk when all nodes were dead
	slowest   time.Duration
}

// users are how many use a cluster.
const users = 32

// think is how long a user waits between two requests, at most. Where nobody asks for so many operations,
// they leave the processor time to the faults.
func think() time.Duration {
	if *operations > 0 {
		return 20 * time.Millisecond
	}
	return 120 * time.Millisecond
}

func newOrdeal(t *testing.T, all *campaign, seed uint64) *ordeal {
	t.Helper()
	on := all.here.of(seed)
	var network *lan.LAN
	if on.networked {
		network = startLAN(t, on.nodes)
	}
	c := e2e.Options{Nodes: on.nodes, LAN: network, Clocks: on.clocked}.New(t, all.binary)
	o := &ordeal{tormented: newTormented(t, c, seed), campaign: all, on: on, network: network, luck: seed}
	if on.powered {
		o.power = empower(o.tormented, seed)
	}
	o.migrate()
	var err error
	if o.archivist, err = o.w.Archive(); err != nil {
		t.Fatal(err)
	}
	o.files = o.openFiles()
	if o.visitors, err = o.w.Visit(seed, users, think()); err != nil {
		t.Fatal(err)
	}
	return o
}

// recover starts what does not run, and waits until writes succeed and all nodes are ready. A
// node may end a moment after a calamity, for what its disk did to it.
func (o *ordeal) recover() {
	o.t.Helper()
	began := time.Now()
	o.mustWrite(o.visitors, len(o.Nodes)+1, func() { _ = o.revive(o.Nodes...) })
	o.slowest = max(o.slowest, time.Since(began))
	o.Wait("not all nodes are ready", time.Minute, func() bool {
		_ = o.revive(o.Nodes...)
		for _, n := range o.Nodes {
			if _, err := o.Client(n).Ready(o.t.Context()); err != nil {
				return false
			}
		}
		return true
	})
}

// revive starts those that do not run. Nothing ends by itself, but for its disk if that is tampered with: the error,
// which is noted, says that one did.
func (o *ordeal) revive(nodes ...*e2e.Node) (err error) {
	for _, n := range nodes {
		p := o.Process(n)
		if p != nil && !p.Ended() {
			continue
		}
		if p != nil {
			if why := n.Unexpected(); why != nil {
				o.w.Fail("%w", why)
				err = errors.Join(err, why)
			}
		}
		o.Start(n)
	}
	return err
}

// end stops the users and holds what they were told against the history.
func (o *ordeal) end() *chaos.Report {
	o.t.Helper()
	record := o.visitors.End()
	r := &chaos.Report{Slowest: o.slowest}
	h, err := o.archivist.History(o.w.Known(), 0)
	if err != nil {
		o.t.Fatal(err)
	}
	named, err := chaos.Named(h, signingKey)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Revisions = len(h.Transactions)
	for _, v := range bumpcheck.Check(named, record) {
		r.Violations = append(r.Violations, v)
	}
	history := printsOf(h)
	for _, m := range o.marks {
		if err := m.check(history); err != nil {
			r.Failures = append(r.Failures, err)
		}
	}
	o.Status() // equal states at one index
	o.w.Count("snapshots taken", o.logged("snapshot taken"))
	if o.on.clocked {
		o.w.Count("stamped by a wrong clock", wronglyStamped(h))
	}
	if o.t.Failed() { // a node that had ended before it was killed
		r.Failures = append(r.Failures, errors.New("the test had failed by then"))
	}
	r.Counts, r.Failures = o.w.Counts(), append(r.Failures, o.w.Failures()...)
	if now := o.openFiles(); now > o.files+100 {
		r.Failures = append(r.Failures, fmt.Errorf("the processes have %d files open, and had %d in the beginning", now, o.files))
	}
	return r
}

// openFiles counts the files and connections that all processes have open. Those of users who
// are gone may take a moment to go.
func (o *ordeal) openFiles() (sum int) {
	for _, n := range o.Nodes {
		sum += filesOf(o.Process(n).PID())
	}
	return sum
}

// filesOf counts the open files of a process; 0 where that cannot be seen.
func filesOf(pid int) int {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0
	}
	return len(files)
}
