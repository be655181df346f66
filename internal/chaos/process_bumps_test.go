package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/e2e"
)

// signingKey is what the processes sign with.
const signingKey = "a key that is long enough to sign with"

// TestBumpProcesses has users bump and read while real processes suffer.
func TestBumpProcesses(t *testing.T) {
	if *minutes == 0 && *faults == 0 {
		t.Skip("it takes minutes; scripts/chaos bumps --processes runs it")
	}
	t.Setenv("VERSION_SIGNING_KEY", signingKey)
	binary, err := e2e.BuildClocks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o := newOrdeal(t, binary)
	if err := o.suffer(began.Add(time.Duration(*minutes * float64(time.Minute)))); err != nil {
		t.Fatal(err)
	}
	r := o.end()
	r.Virtual = time.Since(began)
	violations := append(r.Violations, r.Failures...)
	for _, v := range violations {
		t.Error(v)
	}
	effective, without := r.Faults()
	t.Logf("%v, %d faults and %d without effect, %d operations, %.1f %% of the writes unknown, %d revisions, well again within %v, %d violations",
		r.Virtual.Round(time.Second), effective, without, r.Operations(), 100*r.Unknown(), r.Revisions, r.Slowest.Round(time.Millisecond), len(violations))
	t.Log(list(r.Counts))
	if effective < max(10, *faults) || r.Operations() < max(10_000, *operations) {
		t.Errorf("%d faults and %d operations, want %d and %d at least", effective, r.Operations(), *faults, *operations)
	}
	if *ledger != "" {
		if err := enter(*ledger, "real", r, 1, len(violations)); err != nil {
			t.Error(err)
		}
	}
}

// ordeal is a cluster of processes that suffers, and those who bump and read.
type ordeal struct {
	*tormented
	archivist *chaos.Archivist
	visitors  *chaos.Visitors
	traced    bool // system calls can be made to fail
	struck    atomic.Uint64
	files     int // that all processes had open in the beginning
	slowest   time.Duration
}

func newOrdeal(t *testing.T, binary string) *ordeal {
	t.Helper()
	c := e2e.Options{Nodes: *nodes, LAN: network(t), Clocks: true}.New(t, binary)
	o := &ordeal{tormented: &tormented{c, t, worldOf(c), rand.New(rand.NewPCG(*first, 8))}, traced: canTrace()}
	if !o.traced {
		t.Log("there is no strace here, or it may not trace: disks do not fail in this run")
	}
	seed, release, err := o.w.Client("seed", o.rng, false)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err := seed.Migrate(t.Context(), chaos.Migration()); err != nil {
		t.Fatal(err)
	}
	if o.archivist, err = o.w.Archive(); err != nil {
		t.Fatal(err)
	}
	o.files = o.openFiles()
	if o.visitors, err = o.w.Visit(*first, 64, 40*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	return o
}

// A calamity strikes a running node, ends by itself, and reports whether it bit. The node may
// have ended by then.
type calamity struct {
	name   string
	strike func(*e2e.Node) (bit bool, err error)
}

// calamities are all that can strike here.
func (o *ordeal) calamities() []calamity {
	all := []calamity{
		{killed, o.killed}, {restarted, o.restarted}, {stopped, o.stopped}, {"fault: little processor time", o.starved},
		{"fault: leadership handed over", o.deposed}, {"fault: too many open files", o.crowded},
	}
	if o.traced {
		all = append(all,
			calamity{"fault: disk slow", o.traces("fdatasync", "delay_enter=40000", time.Second)},
			calamity{"fault: disk fails", o.traces("fdatasync", "error=EIO:when=3+", 5*time.Second)},
			calamity{"fault: disk full", o.traces("pwrite64", "error=ENOSPC:when=5+", 5*time.Second)},
			calamity{"fault: disk hangs", o.traces("fdatasync", "delay_enter=30000000:when=3+", 15*time.Second)},
		)
	}
	return slices.Concat(all, o.networkCalamities(), o.clockCalamities())
}

// suffer has calamities strike until the time is up and enough has happened, and each kind once at
// least: one node, or more at once, the leader as often as not.
func (o *ordeal) suffer(end time.Time) error {
	kinds, limit := o.calamities(), end.Add(10*time.Minute)
	more := func() bool {
		now := time.Now()
		if effective, _ := (&chaos.Report{Counts: o.w.Counts()}).Faults(); effective < *faults || 2*o.visitors.Acknowledged() < int64(*operations) {
			return now.Before(limit)
		}
		return now.Before(end)
	}
	for round := 0; round == 0 || more() && !o.t.Failed(); round++ {
		for _, i := range o.rng.Perm(len(kinds)) {
			struck := []calamity{kinds[i]}
			for o.rng.IntN(2) == 0 && len(struck) < len(o.Nodes) {
				struck = append(struck, kinds[o.rng.IntN(len(kinds))])
			}
			if err := o.strike(struck); err != nil {
				return err
			}
			if round > 0 && !more() {
				return nil
			}
		}
		o.kill(o.Nodes...)
		o.recover()
		o.replace()
		o.recover()
		for _, extra := range []func() error{o.damage, o.roll} {
			if err := extra(); err != nil {
				return err
			}
			o.recover()
		}
	}
	return nil
}

// strike has calamities strike as many nodes at once, and waits until all is well again.
func (o *ordeal) strike(struck []calamity) error {
	first := o.rng.IntN(len(o.Nodes))
	if o.rng.IntN(2) == 0 {
		first = slices.Index(o.Nodes, o.Leader())
	}
	type outcome struct {
		name string
		bit  bool
		err  error
	}
	outcomes := make(chan outcome, len(struck))
	for i, c := range struck {
		n := o.Nodes[(first+i)%len(o.Nodes)]
		go func() {
			out := outcome{name: c.name, err: errors.New("it came to no end")} // what fails the test ends the goroutine
			defer func() { outcomes <- out }()
			out.bit, out.err = c.strike(n)
			o.t.Logf("%s at %s, until %s: %t", c.name, n.ID, time.Now().Format(time.TimeOnly), out.bit)
		}()
	}
	for range struck {
		out := <-outcomes
		if out.err != nil {
			return fmt.Errorf("%s: %w", out.name, out.err)
		}
		o.w.Fault(out.name, out.bit)
	}
	o.recover()
	return nil
}

// recover starts what does not run, and waits until writes succeed and all nodes are ready. A
// node may end a moment after a calamity, for what its disk did to it.
func (o *ordeal) recover() {
	o.t.Helper()
	began, acked := time.Now(), o.visitors.Acknowledged()
	o.Wait("no write succeeds", time.Minute, func() bool {
		o.revive()
		return o.visitors.Acknowledged() > acked+int64(len(o.Nodes))
	})
	o.slowest = max(o.slowest, time.Since(began))
	o.Wait("not all nodes are ready", time.Minute, func() bool {
		o.revive()
		for _, n := range o.Nodes {
			if _, err := o.Client(n).Ready(o.t.Context()); err != nil {
				return false
			}
		}
		return true
	})
}

// revive starts what does not run. Nothing ends by itself, but for its disk.
func (o *ordeal) revive() {
	for _, n := range o.Nodes {
		p := o.Process(n)
		if p != nil && !p.Ended() {
			continue
		}
		if p != nil && p.Code() != diskFailed {
			o.w.Fail("%s ended with exit code %d", n.ID, p.Code())
		}
		o.Start(n)
	}
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
	o.Status() // equal states at one index
	o.w.Count("snapshots taken", o.logged("snapshot taken"))
	o.w.Count("stamped by a wrong clock", wronglyStamped(h))
	r.Counts, r.Failures = o.w.Counts(), o.w.Failures()
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

// roll restarts one node after the other, as for a new version.
func (o *ordeal) roll() error {
	for _, n := range o.Nodes {
		if bit, err := o.restarted(n); err != nil || !bit {
			return fmt.Errorf("restarting %s: %w", n.ID, err)
		}
		o.Ready()
	}
	o.w.Fault("fault: rolling restart", true)
	return nil
}

func (o *ordeal) killed(n *e2e.Node) (bool, error) {
	o.Kill(n)
	<-time.After(200 * time.Millisecond)
	return true, nil
}

func (o *ordeal) restarted(n *e2e.Node) (bool, error) {
	if err := o.Stop(n); err != nil {
		return false, fmt.Errorf("%s stopped with %w", n.ID, err)
	}
	o.Start(n)
	return true, nil
}

// stopped stops a process for longer than a lease.
func (o *ordeal) stopped(n *e2e.Node) (bool, error) {
	o.Signal(n, syscall.SIGSTOP)
	<-time.After(time.Second)
	o.Signal(n, syscall.SIGCONT)
	return true, nil
}

// starved has a process run for a tenth of the time.
func (o *ordeal) starved(n *e2e.Node) (bool, error) {
	for range 12 {
		o.Signal(n, syscall.SIGSTOP)
		<-time.After(90 * time.Millisecond)
		o.Signal(n, syscall.SIGCONT)
		<-time.After(10 * time.Millisecond)
	}
	return true, nil
}

// deposed has leadership handed over, to the node or, if it leads, to another.
func (o *ordeal) deposed(n *e2e.Node) (bool, error) {
	to := n.ID
	if status, err := o.Client().Cluster(o.t.Context()); err == nil && status.Leader == to {
		to = o.Nodes[(slices.Index(o.Nodes, n)+1)%len(o.Nodes)].ID
	}
	_, err := o.Client().TransferLeadership(o.t.Context(), client.TransferRequest{To: to})
	return err == nil, nil // it may fail while others suffer
}
