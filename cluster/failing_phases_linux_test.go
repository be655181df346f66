package cluster_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tesd/tesd/cluster"
)

// failingPhases are the lives of a node of TestEveryOperationFails. What was before them is made here, on
// a disk that is well.
func failingPhases(t *testing.T) []failingPhase {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	var before told
	if code, said := before.live(t, failingLife{Dir: dir, Bumps: 4}); code != 0 {
		t.Fatalf("exit code %d: %s", code, said)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if err := salvageTo(backup, dir); err != nil {
		t.Fatal(err)
	}
	return []failingPhase{
		{name: "founding"},
		{name: "restart", before: dir, told: before},
		{name: "restart beside a damaged snapshot", before: dir, told: before, harm: harmNewest},
		{name: "restore", backup: backup, told: told{bumps: before.bumps}},
		{name: "given a snapshot", leader: dir, told: before},
	}
}

// salvageTo makes a backup of a data directory.
func salvageTo(file, dir string) error {
	v, err := cluster.Salvage(dir, nil)
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := v.WriteTo(f); err != nil {
		return err
	}
	return f.Close()
}

// harmNewest turns a bit in the middle of the newest snapshot of a data directory.
func harmNewest(dir string) error {
	all, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
	if err != nil {
		return err
	}
	file := slices.Max(all) // of a term and of indexes that are written with equally many digits
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 4
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return err
	}
	return syncAll(dir)
}

// copySynced copies a directory, durably.
func copySynced(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return syncAll(filepath.Dir(to))
}

// syncAll makes all that is below a directory durable.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return f.Sync()
	})
}
