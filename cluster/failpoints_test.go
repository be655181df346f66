package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// lives is a node that is a cluster of its own, over several starts.
type lives struct {
	*clustertest.Cluster
	t     *testing.T
	n     *clustertest.Node
	disk  *clustertest.Disk
	acked int // bumps
}

// act starts the node, bumps, has a snapshot taken, and bumps again; it ends early when the node
// does. It returns why the node ended, nil if it did not.
func (l *lives) act() error {
	if err := l.TryStart(l.n); err != nil {
		return err
	}
	ended := func(limit time.Duration) (error, bool) { return l.Ended(l.n, limit) }
	for step := 0; step < 4; {
		if err, over := ended(10 * time.Millisecond); over {
			return err
		}
		switch _, unready := l.n.Check(); {
		case unready:
		case step == 2:
			l.n.Current().Snapshot() // an error of it is told, and stops nobody
			step++
		default:
			result, err := l.n.Propose(l.t.Context(), keyed("api:a", fmt.Sprint("bump ", l.acked)))
			if err == nil && result.Refusal != nil {
				l.t.Fatal(result.Refusal)
			} else if err == nil {
				l.acked++
				step++
			}
		}
	}
	return nil
}

// TestEveryWriteFails fails the nth write, for every n, from the founding over bumps to a snapshot.
// The node stops and says why (or, if it was one of a snapshot, goes on); without faults it comes
// back with all that was acknowledged.
func TestEveryWriteFails(t *testing.T) {
	for _, landed := range []bool{false, true} {
		seen := make(map[string]int)
		for n, hit := 1, true; hit; n++ {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.Prepare(t, 1, seeded)
				l := &lives{Cluster: c, t: t, n: c.Nodes[0], disk: c.Nodes[0].Disk}
				l.disk.FailAt(n, landed, syscall.EIO)
				what := ""
				if err := l.act(); err != nil {
					what = l.disk.Failed()
					if !errors.Is(err, cluster.ErrDiskFailed) || !errors.Is(err, syscall.EIO) {
						t.Errorf("write %d, of the %s: the node ended with %v", n, what, err)
					}
				} else if what = l.disk.Failed(); what != "" && what != "snapshot" {
					t.Errorf("write %d, of the %s, failed, and the node went on", n, what)
				}
				seen[what]++
				hit = what != ""
				l.disk.FailAt(0, false, nil)
				if err := l.again(); err != nil {
					t.Errorf("after write %d, of the %s, failed, the node does not come back: %v", n, what, err)
				}
			})
			if t.Failed() {
				return
			}
		}
		if seen["log"] < 5 || seen["stable"] < 5 || seen["snapshot"] < 3 {
			t.Errorf("writes that failed: %v", seen)
		}
	}
}

// again starts the node anew, and checks that all that was acknowledged is there.
func (l *lives) again() error {
	l.Stop(l.n)
	acked := l.acked
	if err := l.act(); err != nil {
		return err
	}
	if got, want := versionIn(l.t, l.n.View(), "api:a"), fmt.Sprintf("1.0.%d", l.acked); got != want || l.acked < acked+3 {
		l.t.Errorf("api:a is at %s, want %s", got, want)
	}
	return nil
}

// TestEveryWriteOfARestoreFails fails the nth write of a restore, for every n: it is never taken for
// done, and what it leaves is no node's.
func TestEveryWriteOfARestoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 1, seeded)
		c.Ready()
		var backup bytes.Buffer
		if _, err := c.Nodes[0].View().WriteTo(&backup); err != nil {
			t.Fatal(err)
		}
		writes := 0
		for n := 1; ; n++ {
			c.Stop(c.Nodes[0])
			node := c.Nodes[0]
			node.Wipe()
			disk := node.Disk
			disk.FailAt(n, false, syscall.EIO)
			storage := &cluster.Storage{Log: node.Log, Stable: node.Stable, Snapshots: node.Snapshots}
			_, err := cluster.Restore(storage, "n1", []cluster.Peer{{ID: "n1", Address: "n1:9000"}}, bytes.NewReader(backup.Bytes()))
			if disk.Failed() == "" {
				if err != nil {
					t.Fatal(err)
				}
				disk.FailAt(0, false, nil)
				break
			}
			writes++
			if !errors.Is(err, syscall.EIO) {
				t.Errorf("write %d failed, and the restore ended with %v", n, err)
			}
		}
		if writes < 5 {
			t.Errorf("only %d writes failed", writes)
		}
		c.Start(c.Nodes[0])
		c.Ready()
		mustBump(t, c.Nodes[0], "api:a", "")
	})
}

// TestEntryThatIsNotAsWritten changes what a node's log holds while the node is down. It refuses to
// start with it and names it; it does not come back without it.
func TestEntryThatIsNotAsWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(l *raft.Log)
		want string
	}{
		{"data", func(l *raft.Log) { l.Data = append([]byte{l.Data[0] ^ 1}, l.Data[1:]...) }, "checksum of entry 5"},
		{"less data", func(l *raft.Log) { l.Data = l.Data[:len(l.Data)-1] }, "checksum of entry 5"},
		{"term", func(l *raft.Log) { l.Term++ }, "checksum of entry 5"},
		{"type", func(l *raft.Log) { l.Type = raft.LogNoop }, "checksum of entry 5"},
		{"index", func(l *raft.Log) { l.Index = 4 }, "checksum of entry 5"},
		{"checksum", func(l *raft.Log) { l.Extensions[2] ^= 128 }, "checksum of entry 5"},
		{"extensions", func(l *raft.Log) { l.Extensions = append(l.Extensions, 0) }, "checksum of entry 5"},
		{"no checksum", func(l *raft.Log) { l.Extensions = nil }, "carries no checksum"},
		{"nothing", nil, "it is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { harmed(t, c.harm, c.want) })
		})
	}
}

func harmed(t *testing.T, harm func(*raft.Log), want string) {
	c := clustertest.New(t, 3, seeded)
	c.Ready()
	for range 3 {
		mustBump(t, c.Nodes[0], "api:a", "")
	}
	n := c.Nodes[0]
	c.Stop(n)
	if harm == nil {
		n.Log = lacking{n.Store, 5}
	} else {
		var l raft.Log
		if err := n.Store.GetLog(5, &l); err != nil {
			t.Fatal(err)
		}
		harm(&l)
		n.Log = instead{n.Store, 5, l}
	}
	storage := &cluster.Storage{Log: n.Log, Stable: n.Stable, Snapshots: n.Snapshots}
	if _, err := cluster.SalvageFrom(storage); !errors.Is(err, cluster.ErrDiskFailed) {
		t.Errorf("salvaging: %v", err)
	}
	c.Start(n)
	mustFail(t, c, n, time.Minute, "reading log entry 5", want)
	mustBump(t, c.Nodes[1], "api:a", "")
}

// lacking is a log that has lost an entry.
type lacking struct {
	*raft.InmemStore
	index uint64
}

// GetLog reads an entry.
func (s lacking) GetLog(index uint64, l *raft.Log) error {
	if index == s.index {
		return raft.ErrLogNotFound
	}
	return s.InmemStore.GetLog(index, l)
}

// instead is a log that has another entry in the place of one.
type instead struct {
	*raft.InmemStore
	index uint64
	entry raft.Log
}

// GetLog reads an entry.
func (s instead) GetLog(index uint64, l *raft.Log) error {
	if index == s.index {
		*l = s.entry
		return nil
	}
	return s.InmemStore.GetLog(index, l)
}
