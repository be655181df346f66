package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
)

// used makes a data directory with two snapshots and a log, and returns the state that is in it.
func used(t *testing.T, dir string) fsm.View {
	t.Helper()
	n, err := alone(t, dir, "n1", soon)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, n, func() {
		waitFor(t, "the node is not ready", func() bool { return ready(n) })
		for i := range 40 {
			if result, err := n.Propose(t.Context(), keyed("api:a", fmt.Sprint(i))); err != nil || result.Refusal != nil {
				t.Fatal(err, result.Refusal)
			}
			if i == 10 || i == 25 {
				if err := n.Snapshot(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	return n.View()
}

// soon makes a node that is alone lead soon.
func soon(cfg *cluster.Config) { cfg.Timing.Heartbeat = 50 * time.Millisecond }

// duplicate copies a directory.
func duplicate(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// comeBack brings back what is in a directory as a start does.
func comeBack(dir string) (fsm.View, error) {
	storage, err := cluster.OpenDir(dir, nil)
	if err != nil {
		return fsm.View{}, err
	}
	view, err := cluster.ComeBack(storage, "n1")
	return view, errors.Join(err, storage.Close())
}

// TestDamagedFiles changes a byte of each kind of file of a node that is down, or cuts the file.
// What comes back is the very state, or a refusal that names the disk.
func TestDamagedFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	want := used(t, dir)
	if got, err := comeBack(duplicate(t, dir)); err != nil || got.StateHash() != want.StateHash() {
		t.Fatalf("without damage: %v", err)
	}
	snapshots, err := filepath.Glob(filepath.Join(dir, "snapshots", "*"))
	if err != nil || len(snapshots) != 2 {
		t.Fatalf("snapshots: %v, %v", snapshots, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		file string
		few  int // cases of it that are tried
	}{
		{"raft.db", 60}, {"snapshots/*/state.bin", 12}, {"snapshots/*/meta.json", 24},
	} {
		t.Run(c.file, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(dir, c.file))
			if err != nil {
				t.Fatal(err)
			}
			refused := 0
			for range c.few {
				path := files[rng.IntN(len(files))]
				raw, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				at, what := rng.IntN(len(raw)), ""
				if rng.IntN(8) == 0 {
					raw, what = raw[:at], fmt.Sprintf("cut at %d", at)
				} else {
					mask := byte(1 << rng.IntN(8))
					if rng.IntN(2) == 0 {
						mask = byte(1 + rng.IntN(255))
					}
					raw[at] ^= mask
					what = fmt.Sprintf("byte %d changed by %02x", at, mask)
				}
				refused += damaged(t, dir, path, raw, what, want)
			}
			t.Logf("%d of %d were refused", refused, c.few)
		})
	}
}

// TestDamagedPages changes the numbers by which the log's file finds its way: those that would leave
// entries out, take the file back to a write before, or end the process.
func TestDamagedPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	want := used(t, dir)
	path := filepath.Join(dir, "raft.db")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := cluster.TreePages(path)
	if err != nil || len(tree) < 3 {
		t.Fatalf("the pages of the tree: %v, %v", tree, err)
	}
	harm := func(at int64, mask byte, refused bool) {
		content := bytes.Clone(raw)
		content[at] ^= mask
		what := fmt.Sprintf("byte %d changed by %02x", at, mask)
		if damaged(t, dir, path, content, what, want) == 0 && refused {
			t.Errorf("%s: nobody noticed", what)
		}
	}
	for _, meta := range []int64{0, 4096} {
		for _, at := range []int64{16, 20, 24, 32, 56, 64, 72} { // magic, version, page size, root, end, transaction, checksum
			harm(meta+at, 1, true)
		}
	}
	for _, page := range tree {
		for at := range int64(16) { // number, flags, count, overflow
			harm(page+at, 1, true)
			harm(page+at, 128, true)
		}
		for _, at := range []int64{16, 20, 24, 28} { // of the first element
			harm(page+at, 2, false)
		}
	}
}

// damaged replaces a file in a copy of dir, and reports whether (1 or 0) that is refused.
func damaged(t *testing.T, dir, path string, content []byte, what string, want fsm.View) int {
	t.Helper()
	name := strings.TrimPrefix(path, dir)
	harmed := duplicate(t, dir)
	defer os.RemoveAll(harmed)
	if err := os.WriteFile(filepath.Join(harmed, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	switch got, err := comeBack(harmed); {
	case err == nil && got.StateHash() != want.StateHash():
		t.Errorf("%s, %s: another state came back, at index %d instead of %d", name, what, got.Index(), want.Index())
	case err != nil && !errors.Is(err, cluster.ErrDiskFailed):
		t.Errorf("%s, %s: refused with %v", name, what, err)
	case err != nil:
		return 1
	}
	return 0
}

// TestSnapshotThatCannotBeUsed damages the newest snapshot: the node comes back from the older one and
// the log, says so, and moves the damaged one away. With both damaged it refuses.
func TestSnapshotThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	want := used(t, dir)
	snapshots, err := filepath.Glob(filepath.Join(dir, "snapshots", "*"))
	if err != nil || len(snapshots) != 2 {
		t.Fatalf("snapshots: %v, %v", snapshots, err)
	}
	for _, c := range []struct {
		name, file string
		harm       func(path string) error
	}{
		{"flipped", "state.bin", flip},
		{"truncated", "state.bin", func(path string) error { return os.Truncate(path, 100) }},
		{"empty", "state.bin", func(path string) error { return os.Truncate(path, 0) }},
		{"without its notes", "meta.json", os.Remove},
		{"with other notes", "meta.json", func(path string) error {
			raw, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(raw, []byte(`"Term":`), []byte(`"Term":1`), 1), 0o600))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := duplicate(t, dir)
			newest := filepath.Join("snapshots", filepath.Base(snapshots[1]))
			if err := c.harm(filepath.Join(dir, newest, c.file)); err != nil {
				t.Fatal(err)
			}
			warned := make(chan struct{}, 1)
			n, err := alone(t, dir, "n1", soon, func(cfg *cluster.Config) {
				log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard})
				log.RegisterSink(&sink{func(message string) {
					if strings.Contains(message, "a snapshot is damaged") {
						warned <- struct{}{}
					}
				}})
				cfg.Logger = log
			})
			if err != nil {
				t.Fatal(err)
			}
			serve(t, n, func() {
				waitFor(t, "the node is not ready", func() bool { return ready(n) })
				if n.SnapshotSize() < 500 {
					t.Errorf("the node takes its snapshot to have %d bytes", n.SnapshotSize())
				}
				if got := versionIn(t, n.View(), "api:a"); got != versionIn(t, want, "api:a") {
					t.Errorf("api:a came back at %s", got)
				}
			})
			select {
			case <-warned:
			default:
				t.Error("nothing was said about it")
			}
			if _, err := os.Stat(filepath.Join(dir, "damaged-snapshots", filepath.Base(newest))); err != nil {
				t.Error(err)
			}
		})
	}
	for _, s := range snapshots {
		if err := flip(filepath.Join(dir, "snapshots", filepath.Base(s), "state.bin")); err != nil {
			t.Fatal(err)
		}
	}
	n, err := alone(t, dir, "n1")
	if err != nil {
		t.Fatal(err)
	}
	err = n.Run(t.Context())
	for _, s := range snapshots {
		if !errors.Is(err, cluster.ErrDiskFailed) || !strings.Contains(err.Error(), filepath.Base(s)) {
			t.Errorf("both snapshots are damaged, and the node ended with %v", err)
		}
	}
}

// TestSnapshotThatCannotBeSetAside damages the newest snapshot, and has no place where it could go.
func TestSnapshotThatCannotBeSetAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	used(t, dir)
	snapshots, err := filepath.Glob(filepath.Join(dir, "snapshots", "*", "state.bin"))
	if err != nil || len(snapshots) != 2 {
		t.Fatalf("snapshots: %v, %v", snapshots, err)
	}
	aside := filepath.Join(dir, "damaged-snapshots")
	if err := errors.Join(flip(snapshots[1]), os.WriteFile(aside, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := comeBack(dir); !errors.Is(err, cluster.ErrDiskFailed) || !strings.Contains(err.Error(), aside) {
		t.Errorf("the node came back with %v", err)
	}
}

// flip changes a bit in the middle of a file.
func flip(path string) error {
	raw, err := os.ReadFile(path)
	if err == nil {
		raw[len(raw)/2] ^= 16
		err = os.WriteFile(path, raw, 0o600)
	}
	return err
}

// TestLogThatIsGone takes the log away from under snapshots, and the other way round.
func TestLogThatIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	used(t, dir)
	for _, c := range []struct {
		name string
		harm func(dir string) error
	}{
		{"no log", func(dir string) error { return os.Remove(filepath.Join(dir, "raft.db")) }},
		{"an empty file", func(dir string) error { return os.Truncate(filepath.Join(dir, "raft.db"), 0) }},
		{"no snapshots", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "snapshots")) }},
	} {
		harmed := duplicate(t, dir)
		if err := c.harm(harmed); err != nil {
			t.Fatal(err)
		}
		if _, err := comeBack(harmed); !errors.Is(err, cluster.ErrDiskFailed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestUnfinishedSnapshots removes what a crash left of a snapshot that was being written.
func TestUnfinishedSnapshots(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, "snapshots", "2-10-1700000000000.tmp")
	n, err := alone(t, dir, "n1", soon)
	if err != nil {
		t.Fatal(err)
	}
	serve(t, n, func() {
		waitFor(t, "the node is not ready", func() bool { return ready(n) })
		if err := os.MkdirAll(left, 0o700); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := comeBack(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left of a snapshot is still there: %v", err)
	}
}
