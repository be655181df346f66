package cluster_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// found is how long it takes at most until a node knows that it is the one that is wrong; tied,
// if only it and the leader are there.
const (
	found = 4 * time.Second
	tied  = 15 * time.Second
)

// wrongs makes machines of single nodes go wrong, and keeps what the nodes find of it.
type wrongs struct {
	mu      sync.Mutex
	next    map[string]fsm.Scope // by node: it takes this for the scope of the next bump
	differs atomic.Int64         // how often any node found another that differs
}

func newWrongs() *wrongs { return &wrongs{next: make(map[string]fsm.Scope)} }

func (w *wrongs) configure(cfg *cluster.Config) {
	seeded(cfg)
	id, log := cfg.NodeID, hclog.NewInterceptLogger(&hclog.LoggerOptions{Level: hclog.Off})
	log.RegisterSink(&sink{func(message string) {
		if message == "state_differs" {
			w.differs.Add(1)
		}
	}})
	cfg.Logger = log
	cluster.SetAltered(cfg, func(_ uint64, entry fsm.Entry) fsm.Entry {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, command := range entry.Commands {
			if bump, ok := command.Op.(fsm.Bump); ok && w.next[id] != 0 {
				bump.Scope, w.next[id] = w.next[id], 0
				entry.Commands[i].Op = bump
			}
		}
		return entry
	})
}

// plant has nodes carry out another bump than the log has, each another one, right after they
// have checked their state, and waits until they have.
func (w *wrongs) plant(t *testing.T, c *clustertest.Cluster, wrong ...*clustertest.Node) {
	t.Helper()
	for _, n := range c.Nodes {
		c.Wait(n.ID+" finds nobody with its state", time.Minute, func() bool {
			return len(c.Nodes) == 1 || !n.Running() || n.Status().Compared.Index > 0
		})
	}
	checks := wrong[0].Status().Compared.Checks
	c.Wait("the node does not check its state", time.Minute, func() bool {
		return len(c.Nodes) == 1 || wrong[0].Status().Compared.Checks > checks
	})
	w.mu.Lock()
	for i, n := range wrong {
		w.next[n.ID] = []fsm.Scope{fsm.Minor, fsm.Major}[i]
	}
	w.mu.Unlock()
	leader := c.Leader()
	mustBump(t, leader, "global:main", "planted in "+wrong[0].ID)
	for _, n := range wrong {
		c.Wait("the planted fault does not happen", time.Second, func() bool { return n.View().Index() == leader.View().Index() })
	}
}

// goOn checks that the running nodes serve, agree, and go on checking.
func goOn(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	c.Ready()
	<-time.After(time.Second) // what was under way when a node stopped
	before := make(map[*clustertest.Node]cluster.Comparison)
	for _, n := range c.Nodes {
		if n.Running() {
			mustBump(t, n, "api:a", fmt.Sprint("go on ", n.ID, time.Now()))
			before[n] = n.Status().Compared
		}
	}
	index := c.Agree().Index()
	<-time.After(3 * time.Second)
	for n, was := range before {
		if is := n.Status().Compared; is.Checks == was.Checks || is.Mismatches != was.Mismatches || is.Index < index {
			t.Errorf("%s has compared %+v, before %+v; the index was %d", n.ID, is, was, index)
		}
	}
}

// wantDiverged waits until a node stops because its state is not that of others.
func wantDiverged(t *testing.T, c *clustertest.Cluster, n *clustertest.Node, limit time.Duration, others ...*clustertest.Node) {
	t.Helper()
	own, index := n.Status().StateHash, n.View().Index()
	err, ok := c.Ended(n, limit)
	if !ok || !errors.Is(err, cluster.ErrDiverged) {
		t.Fatalf("%s: ended %v, with %v", n.ID, ok, err)
	}
	for _, want := range []string{fmt.Sprintf("at index %d of the log it has hash %s, ", index, own), "it was last the same at index "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s ends with %v, which does not say %q", n.ID, err, want)
		}
	}
	for _, m := range others {
		if hash := m.Status().StateHash; !strings.Contains(err.Error(), m.ID+" has "+hash) && !strings.Contains(err.Error(), m.ID+", the leader, has "+hash) {
			t.Errorf("%s ends with %v, which does not tell the state %s of %s", n.ID, err, hash, m.ID)
		}
	}
	if !n.Status().Diverged || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s does not say in one line that it has diverged: %v", n.ID, err)
	}
	storage := &cluster.Storage{Log: n.Log, Stable: n.Store, Snapshots: n.Snapshots}
	_, err = cluster.Open(cluster.Config{NodeID: n.ID, RaftAddress: n.ID + ":9000", Peers: threePeers(), RegistryID: clustertest.Registry, Storage: storage})
	if !errors.Is(err, cluster.ErrDiverged) || !strings.Contains(err.Error(), own) {
		t.Errorf("%s is started again: %v", n.ID, err)
	}
}

// TestDivergedNodeStops has one node of three go wrong, whatever it is, and come back with an
// empty directory.
func TestDivergedNodeStops(t *testing.T) {
	for _, role := range []cluster.Role{cluster.Leader, cluster.Follower, cluster.Nonvoter} {
		t.Run(string(role), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWrongs()
				c := clustertest.New(t, 3, w.configure)
				c.Ready()
				n := c.Leader()
				switch role {
				case cluster.Follower:
					n = c.Follower()
				case cluster.Nonvoter:
					n = c.Add()
					c.Start(n)
					waitsFor(t, c, n, "tesd node add")
					c.Crash(c.Follower(n)) // nobody is promoted
					if err := c.Leader().Current().AddNode(t.Context(), n.ID, n.ID+":9000", false); err != nil {
						t.Fatal(err)
					}
				}
				c.Ready()
				w.plant(t, c, n)
				others := without(c, n)
				for i, m := range others {
					if !m.Running() {
						others = append(others[:i], others[i+1:]...)
						break
					}
				}
				wantDiverged(t, c, n, found, others...)
				goOn(t, c)
				n.Wipe()
				c.Start(n)
				waitsFor(t, c, n, "--replace")
				if role == cluster.Nonvoter {
					return
				}
				mustAdd(t, c, c.Leader(n), n, true)
				goOn(t, c)
			})
		})
	}
}

// TestTwoThatDiffer leaves two of three that differ, with nobody to say who is right.
func TestTwoThatDiffer(t *testing.T) {
	for _, leads := range []bool{false, true} {
		t.Run(fmt.Sprint("the leader is wrong ", leads), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWrongs()
				c := clustertest.New(t, 3, w.configure)
				c.Ready()
				leader, f := c.Leader(), c.Follower()
				c.Crash(c.Follower(f))
				wrong := f
				if leads {
					wrong = leader
				}
				w.plant(t, c, wrong)
				if _, ended := c.Ended(f, found); ended {
					t.Fatal("the follower did not wait for the third node")
				}
				wantDiverged(t, c, f, tied, leader)
				if _, ended := c.Ended(leader, tied); ended {
					t.Error("the leader stopped, too")
				}
				if status := leader.Status().Compared; status.Mismatches == 0 {
					t.Errorf("the leader has noticed nothing: %+v", status)
				}
			})
		})
	}
}

// TestThirdNodeDecides has two of three differ, of which the leader is wrong, and the third
// come back in time.
func TestThirdNodeDecides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrongs()
		c := clustertest.New(t, 3, w.configure)
		c.Ready()
		leader, f := c.Leader(), c.Follower()
		third := c.Follower(f)
		c.Crash(third)
		w.plant(t, c, leader)
		c.Start(third)
		wantDiverged(t, c, leader, tied)
		goOn(t, c)
	})
}

// TestAllDiffer has three nodes with three states: those who follow stop.
func TestAllDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrongs()
		c := clustertest.New(t, 3, w.configure)
		c.Ready()
		leader, f := c.Leader(), c.Follower()
		g := c.Follower(f)
		w.plant(t, c, f, g)
		wantDiverged(t, c, f, tied, leader)
		wantDiverged(t, c, g, tied, leader)
		if _, ended := c.Ended(leader, tied); ended {
			t.Error("the leader stopped, too")
		}
	})
}

// TestAloneNobodyDiffers: a cluster of one has nobody to compare with.
func TestAloneNobodyDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrongs()
		c := clustertest.New(t, 1, w.configure)
		c.Ready()
		w.plant(t, c, c.Nodes[0])
		if err, ended := c.Ended(c.Nodes[0], time.Minute); ended || c.Nodes[0].Status().Compared != (cluster.Comparison{}) {
			t.Errorf("ended %v with %v, compared %+v", ended, err, c.Nodes[0].Status().Compared)
		}
	})
}

// TestRestartOfADivergedNode crashes a node that is wrong before it knows. What was wrong in
// memory alone is gone with it; what is in its snapshot is not.
func TestRestartOfADivergedNode(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		t.Run(fmt.Sprint("with a snapshot ", snapshot), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWrongs()
				c := clustertest.New(t, 3, w.configure)
				c.Ready()
				f := c.Follower()
				w.plant(t, c, f)
				if snapshot {
					if err := f.Current().Snapshot(); err != nil {
						t.Fatal(err)
					}
				}
				c.Crash(f)
				c.Start(f)
				if !snapshot {
					goOn(t, c)
				} else if err, ended := c.Ended(f, found); !ended || !errors.Is(err, cluster.ErrDiverged) {
					t.Fatalf("ended %v, with %v", ended, err)
				}
			})
		})
	}
}

// TestSnapshotHeals gives a node that is wrong, and does not know yet, the state of the leader:
// it must not stop for what it was.
func TestSnapshotHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrongs()
		c := clustertest.New(t, 3, w.configure)
		c.Ready()
		leader, f := c.Leader(), c.Follower()
		w.plant(t, c, f)
		c.Net.Isolate(f.ID)
		for i := range 10 {
			mustBump(t, leader, "api:a", fmt.Sprint("meanwhile ", i))
		}
		if err := leader.Current().Snapshot(); err != nil {
			t.Fatal(err)
		}
		mustBump(t, leader, "api:a", "after")
		c.Net.Rejoin(f.ID)
		c.Wait("it is not given the state", time.Second, func() bool { return f.View().Index() == leader.View().Index() })
		goOn(t, c)
		if w.differs.Load() != 0 {
			t.Error("a state that is gone was found to differ")
		}
	})
}

// TestSnapshotHealsWhileItAsks does so while the node has asked, and has not heard from all yet.
func TestSnapshotHealsWhileItAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrongs()
		c := clustertest.New(t, 3, w.configure)
		c.Ready()
		leader, f := c.Leader(), c.Follower()
		g := c.Follower(f)
		w.plant(t, c, f)
		<-time.After(1800 * time.Millisecond) // it asks in 200 ms
		c.Net.Cut(leader.ID, f.ID)
		c.Net.Cut(g.ID, f.ID)
		for i := range 3 {
			mustBump(t, leader, "api:a", fmt.Sprint("meanwhile ", i))
		}
		if err := leader.Current().Snapshot(); err != nil {
			t.Fatal(err)
		}
		mustBump(t, leader, "api:a", "after")
		<-time.After(400 * time.Millisecond)
		if c.Net.Held(g.ID, f.ID) == 0 {
			t.Fatal("no answer to the node is on its way")
		}
		c.Net.Heal(leader.ID, f.ID)
		c.Wait("it is not given the state", 300*time.Millisecond, func() bool { return f.View().Index() == leader.View().Index() })
		c.Net.Heal(g.ID, f.ID)
		goOn(t, c)
		if is := f.Status().Compared; is.Mismatches != 0 {
			t.Errorf("it has compared what it was: %+v", is)
		}
	})
}

// TestOperationsAreNoDivergence does to a cluster what its operators do, one thing after the
// other, and has all nodes compare their states after each.
func TestOperationsAreNoDivergence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWrongs()
		c := clustertest.New(t, 3, w.configure)
		c.Ready()
		old := backup(t, c.Agree())
		goOn(t, c)
		for _, n := range c.Nodes {
			if err := c.Stop(n); err != nil {
				t.Fatal(err)
			}
			c.Start(n)
			goOn(t, c)
		}
		f := c.Follower()
		c.Net.Isolate(f.ID) // as if it were paused
		for i := range 2 {
			mustBump(t, c.Leader(f), "api:a", fmt.Sprint("meanwhile ", i))
			if err := c.Leader(f).Current().Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute)
		c.Net.Rejoin(f.ID) // and is given a snapshot
		goOn(t, c)
		if err := f.Current().TransferLeadership(t.Context(), f.ID); err != nil {
			t.Fatal(err)
		}
		goOn(t, c)
		more := c.Add()
		c.Start(more)
		mustAdd(t, c, f, more, false)
		goOn(t, c)
		if err := f.Current().RemoveNode(t.Context(), f.ID); err != nil {
			t.Fatal(err)
		}
		if err := c.Stop(f); err != nil {
			t.Fatal(err)
		}
		goOn(t, c)
		for _, n := range c.Nodes {
			c.Stop(n)
		}
		mustRestore(t, f, threePeers(), old)
		c.Start(f)
		for _, n := range without(c, f, more) {
			n.Wipe()
			c.Start(n)
		}
		c.Wait("the cluster is not complete", time.Minute, func() bool { return voters(t, f) == 3 })
		goOn(t, c)
		if w.differs.Load() > 0 {
			t.Errorf("%d states were found to differ", w.differs.Load())
		}
	})
}

// TestSufferingIsNoDivergence lets a cluster suffer in which all nodes are right.
func TestSufferingIsNoDivergence(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { sufferRightly(t, seed) })
		})
	}
}

func sufferRightly(t *testing.T, seed uint64) {
	w, byID := newWrongs(), make(map[string]*disk)
	withDisk := disks(byID)
	c := clustertest.Prepare(t, 3, func(cfg *cluster.Config) {
		w.configure(cfg)
		withDisk(cfg)
		cfg.SnapshotBytes, cfg.TrailingLogs, cfg.HistoryKeep = 128<<10, 4, 20
	})
	more := c.Add()
	for _, n := range c.Nodes {
		c.Start(n)
	}
	c.Wait("there is no cluster", time.Minute, func() bool { return c.Leader().View().Founded() })
	mustAdd(t, c, c.Leader(), more, false)
	s := &sufferer{t: t, c: c, disks: byID, end: time.Now().Add(20 * time.Second)}
	s.everywhere(rand.New(rand.NewPCG(seed, 300)))
	stop := newLedger().load(t, c, 1)
	var group sync.WaitGroup
	for i, fault := range []func(*rand.Rand){s.links, s.nodes, s.operate} {
		rng := rand.New(rand.NewPCG(seed, 400+uint64(i)))
		group.Go(func() {
			for time.Now().Before(s.end) {
				<-time.After(between(rng, 0, 2*time.Second))
				fault(rng)
			}
		})
	}
	checks, last := uint64(0), make(map[*clustertest.Node]uint64)
	for ; time.Now().Before(s.end); <-time.After(time.Second) {
		for _, n := range c.Nodes {
			now := n.Status().Compared.Checks
			checks += now - min(now, last[n])
			last[n] = now
		}
	}
	group.Wait()
	stop()
	for _, n := range c.Nodes {
		if err, ended := c.Ended(n, 0); ended {
			t.Errorf("%s ended: %v", n.ID, err)
		}
	}
	t.Logf("%d checks while it suffered", checks)
	if w.differs.Load() > 0 || checks < 10 {
		t.Errorf("%d states were found to differ", w.differs.Load())
	}
}
