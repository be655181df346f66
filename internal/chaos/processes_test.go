package chaos_test

import (
	"context"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/e2e"
	"github.com/tesd/tesd/internal/watchcheck"
)

// TestProcesses has real processes suffer, with the whole history kept and with little of it.
func TestProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("it asks for a least of everything in little time, which the race detector may take; without -short it runs")
	}
	binary, err := e2e.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, keep := range map[string]uint64{"whole": 0, "kept": 60} {
		t.Run(name, func(t *testing.T) {
			if *minutes == 0 {
				t.Parallel() // they wait more than they work
			}
			processes(t, binary, keep)
		})
	}
}

// tormented is a cluster of processes and those who use it.
type tormented struct {
	*e2e.Cluster
	t   *testing.T
	w   *chaos.World
	rng *rand.Rand
}

func newTormented(t *testing.T, c *e2e.Cluster, seed uint64) *tormented {
	return &tormented{c, t, worldOf(c), rand.New(rand.NewPCG(seed, 8))}
}

// migrate makes the registry that users of bumps expect.
func (s *tormented) migrate() {
	s.t.Helper()
	first, release, err := s.w.Client("seed", s.rng, false)
	if err != nil {
		s.t.Fatal(err)
	}
	defer release()
	if _, err := first.Migrate(s.t.Context(), chaos.Migration()); err != nil {
		s.t.Fatal(err)
	}
}

// mustWrite waits until users were told of so many more writes, and does something again and again meanwhile.
func (s *tormented) mustWrite(users *chaos.Visitors, writes int, meanwhile func()) {
	s.t.Helper()
	before := users.Acknowledged()
	s.Wait("no write succeeds", time.Minute, func() bool {
		meanwhile()
		return users.Acknowledged() >= before+int64(writes)
	})
}

func processes(t *testing.T, binary string, keep uint64) {
	began := time.Now()
	c := e2e.New(t, binary, "--history-keep", strconv.FormatUint(keep, 10), "--max-websocket-connections", "1000")
	s := newTormented(t, c, *first)
	if err := s.seed(); err != nil {
		t.Fatal(err)
	}
	archivist, err := s.w.Archive()
	if err != nil {
		t.Fatal(err)
	}
	if keep > 0 { // nothing may be compacted that was not read
		s.w.Hold = func() bool { return s.w.Known() > archivist.Revision()+keep/2 }
	}
	watchers := s.w.Watch(*first, 5, 1500*time.Millisecond)
	writers, err := s.w.Write(*first, chaos.Load{Writers: 3, Pause: 40 * time.Millisecond, Keyed: keep == 0, Reason: 1000, Batch: 8})
	if err != nil {
		t.Fatal(err)
	}
	s.torment(keep)
	writers.Stop()
	slowest := s.w.Finish(watchers, *first, time.Minute, 5*time.Second)
	streams := watchers.End()
	c.Status()
	s.w.Count("snapshots taken", s.logged("snapshot taken"))
	s.w.Count("snapshots given", s.logged("Installed remote snapshot"))
	h, err := archivist.History(s.w.Known(), keep)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range watchcheck.CheckComplete(h, streams...) {
		t.Error(v)
	}
	for _, err := range append(s.w.Failures(), s.w.Compare(h)...) {
		t.Error(err)
	}
	s.least(keep)
	t.Logf("%v, %d revisions, told within %v: %s", time.Since(began).Round(time.Second), len(h.Transactions), slowest, list(s.w.Counts()))
}

// worldOf is a cluster of processes as its users see it.
func worldOf(c *e2e.Cluster) *chaos.World {
	w := &chaos.World{Heartbeat: 30 * time.Second, Dial: func(host string) chaos.Dial {
		dial := c.Dial
		if strings.HasPrefix(host, "web-") { // a user; the others are of the test
			dial = c.DialUser
		}
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return dial(ctx, network, address)
		}
	}}
	for _, n := range c.Nodes {
		w.Endpoints = append(w.Endpoints, chaos.Endpoint{ID: n.ID, URL: n.URL})
	}
	all := c.Client()
	w.Committed = func(context.Context) uint64 {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		r, err := all.Entity(ctx, "global:main")
		if err != nil {
			return math.MaxUint64 // nobody knows
		}
		return r.Revision
	}
	return w
}

// seed makes the registry that is written to, without a key, which would be kept.
func (s *tormented) seed() error {
	c, release, err := s.w.Client("seed", s.rng, false)
	if err != nil {
		return err
	}
	defer release()
	entity := func(id, kind, parent string) client.Entity {
		e := client.Entity{ID: id, Type: kind, CurrentVersion: "1.0.0", UpdateStrategy: "independent", ParentVersionID: parent, DisplayName: id}
		if parent != "" {
			e.UpdateStrategy = "linked-to-parent"
		}
		return e
	}
	_, err = c.Migrate(s.t.Context(), client.MigrateRequest{Source: "test", Entities: []client.Entity{
		entity("global:main", "global", ""), entity("component:a", "component", "global:main"),
		entity("component:b", "component", "global:main"), entity("api:a", "api-scope", "component:a"),
	}})
	return err
}

// Faults of processes.
const (
	killed    = "fault: killed"
	killedAll = "fault: all killed"
	stopped   = "fault: stopped for a while"
	leader    = "fault: leader stopped for a while"
	restarted = "fault: restarted in good order"
	replaced  = "fault: lost its disk and was replaced"
)

// torment injects faults: each kind once, or until the time is up. A long run fills the log,
// so that snapshots are taken.
func (s *tormented) torment(keep uint64) {
	end := time.Now().Add(time.Duration(*minutes * float64(time.Minute)))
	if *minutes > 0 {
		defer s.fill()()
	}
	kinds := []func(){
		func() { s.kill(s.Leader()) }, func() { s.pause(s.any(), stopped) }, func() { s.restart(s.any()) },
		func() { s.pause(s.Leader(), leader) }, func() { s.kill(s.Nodes...) },
	}
	if *minutes > 0 {
		kinds = append(kinds, s.replace)
	}
	if keep > 0 && *minutes == 0 {
		kinds = kinds[:3]
	}
	for again := true; again; again = time.Now().Before(end) && !s.t.Failed() {
		for _, i := range s.rng.Perm(len(kinds)) {
			kinds[i]()
			s.Ready()
			s.progress(int(20 + keep))
		}
	}
}

// progress waits until some writes succeed.
func (s *tormented) progress(writes int) {
	s.t.Helper()
	before := s.w.Counts()["writes"]
	s.Wait("no write succeeds", time.Minute, func() bool { return s.w.Counts()["writes"] > before+writes })
}

func (s *tormented) any() *e2e.Node { return s.Nodes[s.rng.IntN(len(s.Nodes))] }

func (s *tormented) kill(nodes ...*e2e.Node) {
	s.Kill(nodes...)
	<-time.After(time.Duration(s.rng.IntN(500)) * time.Millisecond)
	for _, n := range nodes {
		s.Start(n)
	}
	name := killed
	if len(nodes) > 1 {
		name = killedAll
	}
	s.w.Count(name, 1)
}

func (s *tormented) pause(n *e2e.Node, name string) {
	s.Signal(n, syscall.SIGSTOP)
	<-time.After(time.Second + time.Duration(s.rng.IntN(1000))*time.Millisecond)
	s.Signal(n, syscall.SIGCONT)
	s.w.Count(name, 1)
}

func (s *tormented) restart(n *e2e.Node) {
	if err := s.Stop(n); err != nil {
		s.t.Errorf("%s stopped with %v", n.ID, err)
	}
	s.Start(n)
	s.w.Count(restarted, 1)
}

func (s *tormented) replace() {
	s.loseDisk()
	s.w.Count(replaced, 1)
}

// loseDisk has a node lose its disk and take its own place.
func (s *tormented) loseDisk() {
	n := s.any()
	s.Kill(n)
	s.readmit(n)
}

// readmit starts a node that does not run, without the data that it had, and has it take its own
// place, which is the documented way back. It gets a snapshot if the log no longer has its
// beginning. Until it has a vote again, the cluster cannot lose another node.
func (s *tormented) readmit(n *e2e.Node) {
	s.t.Helper()
	if err := os.RemoveAll(n.DataDir); err != nil {
		s.t.Fatal(err)
	}
	s.Start(n)
	s.Wait(n.ID+" cannot be added", time.Minute, func() bool {
		_, err := s.Client().AddNode(s.t.Context(), client.NodeRequest{ID: n.ID, Address: n.Raft, Replace: true})
		return err == nil
	})
	s.Wait(n.ID+" is not promoted", time.Minute, func() bool {
		status, err := s.Client().Cluster(s.t.Context())
		if err != nil {
			return false
		}
		for _, m := range status.Nodes {
			if m.ID == n.ID && m.Voter && m.Reachable {
				return true
			}
		}
		return false
	})
}

// fill writes as much as it can to the log, until the returned function is called: batches
// that are as large as they may be. That function waits until snapshots have been taken.
func (s *tormented) fill() (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	for i := range uint64(2) {
		rng := rand.New(rand.NewPCG(*first, 7+i))
		c, release, err := s.w.Client("filler", rng, false)
		if err != nil {
			s.t.Fatal(err)
		}
		group.Go(func() {
			defer release()
			for ctx.Err() == nil {
				if s.w.Hold == nil || !s.w.Hold() {
					if _, err := c.Batch(ctx, largest(rng)); err == nil {
						s.w.Count("batches of 256", 1)
					}
				}
				<-time.After(30 * time.Millisecond) // or the nodes have time for nothing else
			}
		})
	}
	return func() {
		s.Wait("no snapshots are taken", 5*time.Minute, func() bool {
			<-time.After(time.Second)
			return s.logged("snapshot taken") >= 3
		})
		cancel()
		group.Wait()
	}
}

// largest is a batch that takes as much room in the log as one can.
func largest(rng *rand.Rand) (req client.BatchRequest) {
	for range 256 {
		reason := make([]byte, 1024)
		for i := range reason {
			reason[i] = byte('!' + rng.IntN(90))
		}
		req.Requests = append(req.Requests, client.BumpRequest{
			Scope: client.Patch, EntityID: "component:b", Cascade: new(false), Reason: string(reason),
		})
	}
	return req
}

// logged returns how often the nodes logged something.
func (s *tormented) logged(what string) (times int) {
	for _, n := range s.Nodes {
		times += strings.Count(s.Log(n), what)
	}
	return times
}

// least holds a run to what must have happened.
func (s *tormented) least(keep uint64) {
	s.t.Helper()
	r := chaos.Report{Counts: s.w.Counts()}
	checks := []error{r.Least(1, killed, stopped, restarted), r.Least(100, "writes"), r.Least(1000, "events"), r.Least(50, "connections", "bookmarks")}
	switch {
	case *minutes > 0:
		checks = append(checks, r.Least(1, killedAll, leader, replaced), r.Least(3, "snapshots taken"))
	case keep == 0:
		checks = append(checks, r.Least(1, killedAll, leader))
	}
	if keep > 0 {
		checks = append(checks, r.Least(1, "gap REVISION_COMPACTED"))
	}
	for _, err := range checks {
		if err != nil {
			s.t.Error(err)
		}
	}
}
