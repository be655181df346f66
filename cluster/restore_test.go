package cluster_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// threePeers are the peers of a cluster of three.
func threePeers() []cluster.Peer {
	return []cluster.Peer{{ID: "n1", Address: "n1:9000"}, {ID: "n2", Address: "n2:9000"}, {ID: "n3", Address: "n3:9000"}}
}

// backup returns a view as a backup.
func backup(t *testing.T, v fsm.View) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := v.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mustRestore gives a node that does not run the state of a backup, and no other.
func mustRestore(t *testing.T, n *clustertest.Node, peers []cluster.Peer, from []byte) {
	t.Helper()
	n.Wipe()
	storage := &cluster.Storage{Log: n.Log, Stable: n.Store, Snapshots: n.Snapshots}
	if _, err := cluster.Restore(storage, n.ID, peers, bytes.NewReader(from)); err != nil {
		t.Fatal(err)
	}
}

// TestRestore loses a whole cluster and makes a new one of its backup, on one node at a
// time of three.
func TestRestore(t *testing.T) {
	t.Parallel()
	for at := range 3 {
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.New(t, 3, seeded)
			c.Ready()
			first := mustBump(t, c.Nodes[0], "global:main", "first")
			before := c.Agree()
			from := backup(t, before)
			for _, n := range c.Nodes {
				c.Stop(n)
				n.Wipe()
			}
			mustRestore(t, c.Nodes[at], threePeers(), from)
			c.Start(c.Nodes[at])
			waitsForSetting(t, c, c.Nodes[at], "of the restored cluster")
			if _, err := c.Nodes[at].Propose(t.Context(), patch("api:a")); !errors.Is(err, cluster.ErrNotReady) {
				t.Errorf("a restored cluster that is not complete took a command: %v", err)
			}
			for i, n := range c.Nodes {
				if i != at {
					c.Start(n)
				}
			}
			c.Wait("the cluster is not complete", time.Minute, func() bool { return voters(t, c.Nodes[at]) == 3 })
			c.Ready()

			after := c.Agree()
			if after.StateHash() != before.StateHash() || after.Cluster().ClusterID == before.Cluster().ClusterID {
				t.Errorf("the restored state has hash %x and cluster %s, the old one had %x and %s",
					after.StateHash(), after.Cluster().ClusterID, before.StateHash(), before.Cluster().ClusterID)
			}
			if again := mustBump(t, c.Nodes[2], "global:main", "first"); !again.Replayed || string(again.Transaction.Payload()) != string(first.Transaction.Payload()) {
				t.Errorf("the repeated bump answers %+v", again)
			}
			mustBump(t, c.Nodes[1], "global:main", "second")
			c.Crash(c.Nodes[at]) // the others do not need it any more
			mustBump(t, c.Nodes[(at+1)%3], "global:main", "third")
			c.Start(c.Nodes[at])
			c.Ready()
			c.Agree()
		})
	}
}

func voters(t *testing.T, n *clustertest.Node) (voters int) {
	t.Helper()
	for _, m := range n.Current().Members(t.Context()) {
		if m.Voter {
			voters++
		}
	}
	return voters
}

// waitsForSetting waits until the node says that it must not serve, and text is why.
func waitsForSetting(t *testing.T, c *clustertest.Cluster, n *clustertest.Node, text string) {
	t.Helper()
	detail := ""
	c.Wait(n.ID+" does not say "+text, time.Minute, func() bool {
		for _, check := range n.Current().Ready() {
			if check.Name == "settings" {
				detail = check.Detail
			}
		}
		return strings.Contains(detail, text)
	})
}

// TestRestoreBesideTheLiving restores a backup while nodes of the old cluster still run, at
// the addresses that they had: neither takes over the other.
func TestRestoreBesideTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		n1, n2, n3 := c.Nodes[0], c.Nodes[1], c.Nodes[2]
		mustBump(t, n1, "global:main", "first")
		from := backup(t, c.Agree())
		c.Stop(n1)
		mustRestore(t, n1, threePeers(), from)
		c.Start(n1)
		waitsForSetting(t, c, n1, "n2 has the data of another cluster")
		old, restored := n2.View().Cluster().ClusterID, n1.View().Cluster().ClusterID
		for range 20 {
			mustBump(t, n2, "global:main", "")
			mustBump(t, n3, "global:main", "")
		}
		c.Crash(c.Leader(n1)) // an election in which n1 could be asked for its vote
		<-time.After(time.Minute)
		if n1.View().Cluster().ClusterID != restored || old == restored {
			t.Fatal("the restored cluster was taken over by the old one")
		}
		for _, n := range []*clustertest.Node{n2, n3} {
			c.Stop(n)
			n.Wipe()
			c.Start(n)
		}
		c.Wait("the cluster is not complete", time.Minute, func() bool { return voters(t, n1) == 3 })
		c.Ready()
		mustBump(t, n3, "global:main", "second")
		if r, _ := c.Agree().Registry(clustertest.Registry); r.Revision() != 3 {
			t.Errorf("the restored registry is at revision %d, want 3", r.Revision())
		}
	})
}

// TestRestoreAlone makes a cluster of one.
func TestRestoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		from := backup(t, c.Agree())
		for _, n := range c.Nodes {
			c.Stop(n)
		}
		mustRestore(t, c.Nodes[1], threePeers()[1:2], from)
		c.Start(c.Nodes[1])
		c.Ready()
		mustBump(t, c.Nodes[1], "global:main", "alone")
	})
}

// TestRestoreRefuses holds what must not be restored, and that nothing is left of it.
func TestRestoreRefuses(t *testing.T) {
	var good []byte
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		good = backup(t, c.Agree())
	})
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	peers := []cluster.Peer{{ID: "n1", Address: "127.0.0.1:9001"}}
	for name, c := range map[string]struct {
		backup []byte
		nodeID string
		peers  []cluster.Peer
		want   string
	}{
		"cut off":         {good[:len(good)-1], "n1", peers, "it ends early"},
		"empty":           {nil, "n1", peers, "it does not start with"},
		"flipped":         {flipped, "n1", peers, "checksum does not match"},
		"with more":       {append(bytes.Clone(good), 0), "n1", peers, "more after its end"},
		"never founded":   {backup(t, fsm.New().View()), "n1", peers, "never founded"},
		"nobody's node":   {good, "n2", peers, `node "n2" is not among the peers`},
		"address missing": {good, "n1", []cluster.Peer{{ID: "n1"}}, "address"},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			_, err := cluster.RestoreDir(filepath.Join(home, "data"), c.nodeID, c.peers, bytes.NewReader(c.backup), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(home); len(left) > 0 {
				t.Errorf("%s is left over", left[0].Name())
			}
		})
	}

	dir := filepath.Join(t.TempDir(), "data")
	view, err := cluster.RestoreDir(dir, "n1", peers, bytes.NewReader(good), nil)
	if err != nil || !view.Founded() {
		t.Fatalf("a good backup was not restored: %v", err)
	}
	if _, err := cluster.RestoreDir(dir, "n1", peers, bytes.NewReader(good), nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory in use was restored to: %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v", info, err)
	}

	used := &cluster.Storage{Log: raft.NewInmemStore(), Stable: raft.NewInmemStore(), Snapshots: raft.NewInmemSnapshotStore()}
	for i := range 2 {
		if _, err := cluster.Restore(used, "n1", peers, bytes.NewReader(good)); (err != nil) != (i == 1) {
			t.Errorf("restoration %d into one storage: %v", i, err)
		}
	}
}

// TestSalvage reads the state off stores whose node does not run: with a snapshot and a log
// after it, with a log alone, and with a log that has lost its beginning.
func TestSalvage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		for _, snapshot := range []bool{false, true} {
			mustBump(t, c.Nodes[0], "global:main", "")
			if snapshot {
				c.Agree() // else who is behind may be given a snapshot while it takes one
				for _, n := range c.Nodes {
					if err := n.Current().Snapshot(); err != nil {
						t.Fatal(err)
					}
				}
				mustBump(t, c.Nodes[0], "global:main", "")
			}
			want := c.Agree()
			for _, n := range c.Nodes {
				c.Crash(n)
				storage := &cluster.Storage{Log: n.Log, Stable: n.Store, Snapshots: n.Snapshots}
				got, err := cluster.SalvageFrom(storage)
				if err != nil {
					t.Fatalf("%s: %v", n.ID, err)
				} else if got.StateHash() != want.StateHash() {
					t.Errorf("%s: salvaged %x, want %x", n.ID, got.StateHash(), want.StateHash())
				}
			}
			for _, n := range c.Nodes {
				c.Start(n)
			}
			c.Ready()
		}

		n := c.Nodes[0]
		c.Crash(n)
		storage := &cluster.Storage{Log: n.Log, Stable: n.Store, Snapshots: raft.NewInmemSnapshotStore()}
		first, _ := n.Store.FirstIndex()
		if err := n.Store.DeleteRange(first, first+1); err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.SalvageFrom(storage); err == nil || !strings.Contains(err.Error(), "the log begins at entry") {
			t.Errorf("a log without its beginning: %v", err)
		}
	})
}

func TestSalvageOfNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := cluster.Salvage(filepath.Join(dir, "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that does not exist: %v", err)
	}
	if _, err := cluster.Salvage(dir, nil); err == nil || !strings.Contains(err.Error(), "holds no state") {
		t.Errorf("an empty directory: %v", err)
	}
}
