package cluster_test

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// on puts all nodes of a cluster that is prepared on disks, by node id, and starts them.
func on(c *clustertest.Cluster) map[string]*clustertest.Disk {
	disks := make(map[string]*clustertest.Disk)
	for _, n := range c.Nodes {
		disks[n.ID] = n.Disk
		c.Start(n)
	}
	return disks
}

func all(string) bool { return true }

func ofSnapshots(what string) bool { return what == "snapshot" }

// snapshotting is a cluster of one node that takes a snapshot now and then, and its disk.
func snapshotting(t *testing.T) (*clustertest.Cluster, *clustertest.Node, *clustertest.Disk) {
	c := clustertest.Prepare(t, 1, func(cfg *cluster.Config) {
		seeded(cfg)
		cfg.SnapshotBytes = 32 << 10
	})
	n := c.Nodes[0]
	disk := on(c)[n.ID]
	c.Ready()
	return c, n, disk
}

// mustTakeSnapshot waits until a node has a snapshot.
func mustTakeSnapshot(c *clustertest.Cluster, n *clustertest.Node) {
	c.Wait("no snapshot is taken", time.Minute, func() bool { taken, _ := n.Snapshots.List(); return len(taken) > 0 })
}

// leaveBehind cuts a follower off, and has the others take snapshots of what it does not have: it is given one
// when it is back.
func leaveBehind(t *testing.T, c *clustertest.Cluster, n *clustertest.Node) {
	t.Helper()
	leader := c.Leader()
	c.Net.Isolate(n.ID)
	for range 20 {
		mustBump(t, leader, "api:a", "")
	}
	for _, m := range c.Nodes {
		if m != n {
			if err := m.Current().Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// mustFail waits for a node to stop on its disk, and checks that the reason has all of want.
func mustFail(t *testing.T, c *clustertest.Cluster, n *clustertest.Node, limit time.Duration, want ...string) {
	t.Helper()
	err, ended := c.Ended(n, limit)
	if !ended {
		t.Fatalf("%s goes on", n.ID)
	}
	if !errors.Is(err, cluster.ErrDiskFailed) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("%s ended with %v, want one line that its disk failed", n.ID, err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s ended with %q, which does not tell %q", n.ID, err, w)
		}
	}
}

// TestFullDiskStopsTheNode has a write of the log find no room, at the leader and at a follower:
// the node stops and says why, the others go on, and with room it comes back.
func TestFullDiskStopsTheNode(t *testing.T) {
	for _, leads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.Prepare(t, 3, seeded)
			disks := on(c)
			c.Ready()
			n, other := c.Leader(), c.Follower()
			if !leads {
				n, other = other, n
			}
			disks[n.ID].FailAt(1, false, syscall.ENOSPC)
			result := make(chan error, 1)
			go func() {
				_, err := other.Propose(t.Context(), keyed("api:a", "once"))
				result <- err
			}()
			mustFail(t, c, n, time.Minute, "storing log entr", "no space left on device")
			if err := <-result; err != nil && !errors.Is(err, cluster.ErrUnknownOutcome) {
				t.Errorf("the write under way: %v", err)
			}
			mustBump(t, other, "api:a", "once")
			c.Start(n)
			c.Ready()
			if got := versionIn(t, c.Agree(), "api:a"); got != "1.0.1" {
				t.Errorf("api:a is at %s after one bump", got)
			}
		})
	}
}

// TestTermThatCannotBeWritten has a vote be lost: the library panics over it.
func TestTermThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, seeded)
		disks := on(c)
		c.Ready()
		n := c.Follower()
		disks[n.ID].FailAt(1, false, syscall.EIO)
		n.Current().Campaign() // answered or not
		mustFail(t, c, n, time.Minute, "writing CurrentTerm", "input/output error")
		c.Ready()
		mustBump(t, c.Leader(), "api:a", "")
		c.Start(n)
		c.Ready()
		c.Agree()
	})
}

// TestHungDiskStopsTheNode hangs the disk of a leader. The others go on when it stops, and what
// reaches its disk after that was acknowledged to nobody.
func TestHungDiskStopsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, seeded)
		disks := on(c)
		c.Ready()
		n := c.Leader()
		release := disks[n.ID].Hang(all)
		began := time.Now()
		result := make(chan error, 1)
		go func() {
			_, err := n.Propose(context.Background(), keyed("api:a", "late"))
			result <- err
		}()
		mustFail(t, c, n, time.Minute, "storing log entry", "did not return within 8s")
		if took := time.Since(began); took < 7*time.Second || took > 12*time.Second {
			t.Errorf("the node stopped after %v", took)
		}
		if err := <-result; !errors.Is(err, cluster.ErrUnknownOutcome) {
			t.Errorf("the write that hung: %v", err)
		}
		mustBump(t, c.Leader(n), "global:main", "")
		last, _ := n.Store.LastIndex()
		release()
		synctest.Wait()
		if now, _ := n.Store.LastIndex(); now == last {
			t.Error("the late write did not land")
		}
		c.Start(n)
		c.Ready()
		if got := versionIn(t, c.Agree(), "api:a"); got != "1.0.1" { // by the cascade alone
			t.Errorf("api:a is at %s: the late write counts", got)
		}
	})
}

// TestSlowDiskIsNotHung has a write take long, and nobody stops for it.
func TestSlowDiskIsNotHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, seeded)
		disks := on(c)
		c.Ready()
		n := c.Follower()
		release := disks[n.ID].Hang(all)
		mustBump(t, c.Leader(), "api:a", "")
		if err, ended := c.Ended(n, 7500*time.Millisecond); ended {
			t.Fatalf("the node ended: %v", err)
		}
		release()
		c.Ready()
		c.Agree()
	})
}

// TestHungSnapshot hangs the writing of a snapshot: the node goes on, and takes one later.
func TestHungSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n, disk := snapshotting(t)
		release := disk.Hang(ofSnapshots)
		for range 200 {
			mustBump(t, n, "api:a", "")
			<-time.After(100 * time.Millisecond)
		}
		if taken, _ := n.Snapshots.List(); len(taken) > 0 {
			t.Fatal("a snapshot was taken")
		}
		release()
		mustTakeSnapshot(c, n)
		mustBump(t, n, "api:a", "")
		c.Stop(n)
		c.Start(n)
		c.Ready()
		if got := versionIn(t, n.View(), "api:a"); got != "1.0.201" {
			t.Errorf("api:a is at %s", got)
		}
	})
}

// TestFailedSnapshotIsTriedAgain counts a snapshot that fails, and takes the next one soon.
func TestFailedSnapshotIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n, disk := snapshotting(t)
		for n.Status().SnapshotsFailed == 0 {
			if disk.Failed() == "" {
				disk.FailAt(2, false, syscall.EIO) // the first is that of the log
			}
			mustBump(t, n, "api:a", "")
			<-time.After(time.Second)
		}
		if disk.Failed() != "snapshot" {
			t.Fatalf("a write of the %s failed", disk.Failed())
		}
		mustTakeSnapshot(c, n)
	})
}

func keyed(id, key string) fsm.Command {
	c := patch(id)
	c.Key = key
	return c
}

// TestPausedProcessIsNotHung lets time pass in which no tick ran, as while a process is stopped.
func TestPausedProcessIsNotHung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 1, seeded)
		n := c.Nodes[0]
		disk := n.Disk
		watch := cluster.NewWatched(&cluster.Storage{Log: n.Log, Stable: n.Stable, Snapshots: n.Snapshots})
		release := disk.Hang(all)
		var done atomic.Bool
		go func() {
			if err := watch.Write(); err != nil {
				t.Errorf("the write: %v", err)
			}
			done.Store(true)
		}()
		synctest.Wait()
		watch.Ticks(40)
		<-time.After(time.Hour) // without a tick
		watch.Ticks(39)
		release()
		synctest.Wait()
		if !done.Load() {
			t.Error("the write has not returned")
		}
	})
}

// TestHungInstall hangs the disk of a follower while it is sent a snapshot, for which raft does
// nothing else: the follower stops.
func TestHungInstall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, seeded)
		disks := on(c)
		c.Ready()
		n := c.Follower()
		leaveBehind(t, c, n)
		release := disks[n.ID].Hang(ofSnapshots)
		c.Net.Rejoin(n.ID)
		mustFail(t, c, n, time.Minute, "a snapshot that was sent", "did not return")
		release()
		c.Start(n)
		c.Ready()
		c.Agree()
	})
}

// TestSnapshotBesideOneThatIsGiven has the disk of a follower take its time over a snapshot that the
// follower takes of itself, until it has been given a newer one. The newer one stays what raft goes
// by: the log leads on from that alone.
func TestSnapshotBesideOneThatIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, seeded)
		disks := on(c)
		c.Ready()
		n, leader := c.Follower(), c.Leader()
		for range 5 {
			mustBump(t, leader, "api:a", "")
		}
		c.Agree()
		first := true
		release := disks[n.ID].Hang(func(what string) bool {
			hangs := first && ofSnapshots(what)
			first = first && !hangs
			return hangs
		})
		defer release()
		taken := make(chan error, 1)
		go func() { taken <- n.Current().Snapshot() }()
		c.Wait("the snapshot does not hang", time.Second, func() bool { _, held := disks[n.ID].Suffered(); return held > 0 })
		leaveBehind(t, c, n)
		c.Net.Rejoin(n.ID)
		var given []*raft.SnapshotMeta
		c.Wait("the follower is given no snapshot", time.Minute, func() bool { given, _ = n.Snapshots.List(); return len(given) > 0 })
		mustBump(t, leader, "api:a", "") // the log leads on from it
		c.Agree()
		release()
		if err := <-taken; err == nil {
			t.Error("the older one is said to be taken")
		}
		if kept, _ := n.Snapshots.List(); len(kept) != len(given) || kept[0].Index != given[0].Index {
			t.Errorf("%d snapshots are kept, and the follower was given %d", len(kept), len(given))
		}
		if last := n.Current().LastSnapshot(); last != strconv.FormatUint(given[0].Index, 10) {
			t.Errorf("the follower takes snapshot %s for its newest, and was given %d", last, given[0].Index)
		}
		c.Stop(n)
		c.Start(n)
		c.Ready()
		c.Agree()
	})
}

// stuck is a log whose entries cannot be read before it is released.
type stuck struct {
	raft.LogStore
	released chan struct{}
}

// GetLog reads an entry.
func (s stuck) GetLog(index uint64, l *raft.Log) error {
	<-s.released
	return s.LogStore.GetLog(index, l)
}

// TestHungStart hangs the disk while a node reads it at its start: the node ends all the same.
func TestHungStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		n := c.Follower()
		c.Stop(n)
		log := stuck{n.Log, make(chan struct{})}
		n.Log = log
		c.Start(n)
		mustFail(t, c, n, 15*time.Second, "reading log entry 1", "did not return within 8s")
		close(log.released)
		c.Start(n)
		c.Ready()
		c.Agree()
	})
}

// TestSlowWrites has writes take so long that heartbeats come near to be late: that is told, once.
func TestSlowWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int32
		c := clustertest.Prepare(t, 1, func(cfg *cluster.Config) {
			seeded(cfg)
			log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard})
			log.RegisterSink(&sink{func(message string) {
				if message == "slow_write" {
					told.Add(1)
				}
			}})
			cfg.Logger = log
		})
		n := c.Nodes[0]
		disk := on(c)[n.ID]
		c.Ready()
		bump := func(takes time.Duration) {
			release := disk.Hang(all)
			time.AfterFunc(takes, release)
			mustBump(t, n, "api:a", "")
		}
		bump(190 * time.Millisecond)
		if told.Load() != 0 {
			t.Error("a write of 190 ms was told of")
		}
		for range 3 {
			bump(210 * time.Millisecond)
		}
		if told.Load() != 1 {
			t.Errorf("slow writes were told of %d times within a minute", told.Load())
		}
		<-time.After(time.Minute)
		bump(210 * time.Millisecond)
		if told.Load() != 2 {
			t.Errorf("slow writes were told of %d times in more than a minute", told.Load())
		}
	})
}
