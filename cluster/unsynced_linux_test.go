package cluster_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestSnapshotNameIsSynced has a process killed after it has given a snapshot its name, and before it has synced that.
// The log may go on behind that snapshot once the node runs again; so the name is there after a loss of power.
func TestSnapshotNameIsSynced(t *testing.T) {
	_, unmount := mustMount(t, t.TempDir()) // or the test is skipped
	unmount()
	dir := filepath.Join(t.TempDir(), "data")
	var before told
	if code, said := before.live(t, failingLife{Dir: dir, Bumps: 4}); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	var newest string
	d := newFailingDisk(t, failingPhase{before: dir, told: before, harm: func(dir string) error {
		all, err := filepath.Glob(filepath.Join(dir, "snapshots", "*"))
		if err != nil {
			return err
		}
		newest = slices.Max(all)
		if err := os.Rename(newest, newest+".tmp"); err != nil {
			return err
		}
		if err := syncAll(dir); err != nil {
			return err
		}
		return os.Rename(newest+".tmp", newest)
	}})
	if d == nil {
		return
	}
	defer d.close()
	if code, said := d.live(0); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	if _, err := d.disk.Lose(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(newest); err != nil {
		t.Error(err)
	}
}
