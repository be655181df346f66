package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
)

// backedUp is what the command line says about a backup.
type backedUp struct {
	ClusterID    string
	AppliedIndex uint64
	StateHash    string
	Registries   []struct {
		RegistryID string
		Revision   uint64
	}
}

// revive wipes all nodes, restores the backup on one of them and starts them.
func revive(t *testing.T, c *e2e.Cluster, on *e2e.Node, file string) backedUp {
	t.Helper()
	for _, n := range c.Nodes {
		if err := os.RemoveAll(n.DataDir); err != nil {
			t.Fatal(err)
		}
	}
	restored := decode[backedUp](t, run(t, c, "restore", file, "--node-id", on.ID, "--data-dir", on.DataDir, "--peers", c.Peers(), "-o", "json"))
	for _, n := range c.Nodes {
		c.Start(n)
	}
	c.Ready()
	return restored
}

// TestBackupAndRestore takes a backup from a follower while clients write, loses the whole
// cluster, and goes on from the backup.
func TestBackupAndRestore(t *testing.T) {
	c := hotCluster(t)
	key := func(id, n int) client.WriteOption { return client.IdempotencyKey(fmt.Sprintf("%d-%d", id, n)) }
	bump := client.BumpRequest{Scope: client.Patch, EntityID: hot}
	first, err := c.Client().Bump(t.Context(), bump, key(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	cl := c.Client()
	load := startLoad(t, 16, func(id, n int) error {
		_, err := cl.Bump(t.Context(), bump, key(id, n))
		return err
	})
	c.Wait("the load does not begin", 30*time.Second, func() bool { return load.done.Load() > 500 })
	file := filepath.Join(t.TempDir(), "tesd.backup")
	taken := decode[backedUp](t, run(t, c, "backup", file, "-o", "json"))
	c.Wait("the load does not go on", 30*time.Second, func() bool { return load.done.Load() > 1000 })
	load.stop()
	t.Logf("%v; the backup is of revision %d", load, taken.Registries[0].Revision)
	before := history(t, c.Client())[:taken.Registries[0].Revision]
	was := c.Status()
	for _, n := range c.Nodes {
		c.Kill(n)
	}

	restored := revive(t, c, c.Nodes[1], file)
	status := c.Status()
	if restored.StateHash != taken.StateHash || *status.Nodes[0].StateHash != taken.StateHash {
		t.Errorf("the state hash was %s in the backup, is %s as restored, and %s in the cluster", taken.StateHash, restored.StateHash, *status.Nodes[0].StateHash)
	}
	if status.ClusterID == was.ClusterID || status.ClusterID != restored.ClusterID || taken.ClusterID != was.ClusterID {
		t.Errorf("the cluster was %s, was restored as %s and is %s", was.ClusterID, restored.ClusterID, status.ClusterID)
	}
	if diff := cmp.Diff(before, history(t, c.Client())); diff != "" {
		t.Errorf("the history is another one:\n%.2000s", diff)
	}
	again, err := c.Client().Bump(t.Context(), bump, key(0, 0))
	if err != nil || !again.Replayed || again.Signature != first.Signature || again.TransactionID != first.TransactionID {
		t.Errorf("the first bump, repeated, gave %+v, %v; it was %+v", again, err, first)
	}
	bumps(t, c, c.Nodes...)
	after := history(t, c.Client())
	if done, err := (client.Verifier{}).VerifyHistory(after); err != nil || done.Receipts != len(before)+3 || done.ClusterID != status.ClusterID {
		t.Errorf("the history verifies as %+v, %v", done, err)
	}
	c.Status()
}

// TestLostMajority loses two of three disks: the third has all that is needed, whether its
// node still runs or not.
func TestLostMajority(t *testing.T) {
	c := hotCluster(t)
	bumps(t, c, c.Nodes...)
	was := c.Status()
	survivor := c.Nodes[2]
	c.Kill(c.Nodes[0], c.Nodes[1])
	running, stopped := filepath.Join(t.TempDir(), "running.backup"), filepath.Join(t.TempDir(), "stopped.backup")
	if _, code := c.Run("backup", running, "--endpoints", survivor.URL, "--timeout", "1s"); code != 5 {
		t.Errorf("a backup of what cannot be known to be whole exited with %d, want 5", code)
	}
	run(t, c, "backup", running, "--stale", "--endpoints", survivor.URL)
	c.Kill(survivor)
	run(t, c, "backup", stopped, "--data-dir", survivor.DataDir)
	for _, file := range []string{running, stopped} {
		revive(t, c, c.Nodes[0], file)
		if status := c.Status(); *status.Nodes[0].StateHash != *was.Nodes[0].StateHash {
			t.Errorf("%s: the state hash is %s, was %s", filepath.Base(file), *status.Nodes[0].StateHash, *was.Nodes[0].StateHash)
		}
		for _, n := range c.Nodes {
			c.Kill(n)
		}
	}

	// A file with a flipped bit is refused, and a directory with data left alone.
	raw, err := os.ReadFile(running)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 4
	if err := os.WriteFile(stopped, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	if _, code := c.Run("restore", stopped, "--node-id", "n1", "--data-dir", fresh, "--peers", c.Peers()); code != 8 {
		t.Errorf("a damaged backup exited with %d, want 8", code)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("it left a data directory: %v", err)
	}
	if _, code := c.Run("restore", running, "--node-id", "n1", "--data-dir", survivor.DataDir, "--peers", c.Peers()); code != 1 {
		t.Errorf("a restoration over data exited with %d, want 1", code)
	}
	for _, n := range c.Nodes {
		c.Start(n)
	}
	c.Ready()
	if !strings.Contains(run(t, c, "get", hot), "1.0.3") {
		t.Error("the cluster is not what it was")
	}
}
