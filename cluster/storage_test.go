package cluster_test

import (
	"context"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// alone opens a node that is a cluster of its own, on a real directory and port.
func alone(t *testing.T, dir, id string, settings ...func(*cluster.Config)) (*cluster.Node, error) {
	t.Helper()
	storage, err := cluster.OpenDir(dir, nil)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cfg := cluster.Config{
		NodeID: id, RaftAddress: address, Peers: []cluster.Peer{{ID: id, Address: address}},
		RegistryID: clustertest.Registry, Seed: clustertest.Seed, Storage: storage,
	}
	for _, set := range settings {
		set(&cfg)
	}
	node, err := cluster.Open(cfg)
	if err != nil {
		storage.Close()
	}
	return node, err
}

// serve runs a node while do does something with it, and stops it.
func serve(t *testing.T, n *cluster.Node, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	do()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// waitFor waits in real time.
func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func ready(n *cluster.Node) bool {
	for _, check := range n.Ready() {
		if !check.OK {
			return false
		}
	}
	return true
}

func TestDirectoryOutlivesItsNode(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	for want := range 3 {
		n, err := alone(t, dir, "n1")
		if err != nil {
			t.Fatal(err)
		}
		serve(t, n, func() {
			waitFor(t, "the node is not ready", func() bool { return ready(n) })
			r, _ := n.View().Registry(clustertest.Registry)
			if got := r.Revision(); got != uint64(want+1) {
				t.Errorf("the registry is at revision %d, want %d", got, want+1)
			}
			if result, err := n.Propose(t.Context(), patch("api:a")); err != nil || result.Refusal != nil {
				t.Error(err, result.Refusal)
			}
			if want == 1 {
				if err := n.Snapshot(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			files++
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v: it may hold the signing key", path, info.Mode())
			}
		}
		return err
	})
	if files != 3 {
		t.Errorf("the directory has %d files, want a log and the two of a snapshot", files)
	}
	if info, _ := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	if _, err := alone(t, dir, "n2"); err == nil || !strings.Contains(err.Error(), `belongs to node "n1"`) {
		t.Errorf("another node's directory: %v", err)
	}
}

// TestSettingsThatCameTooLate has a node told that a setting has no effect any more.
func TestSettingsThatCameTooLate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var told atomic.Bool
	keep := func(n uint64) func(*cluster.Config) {
		return func(c *cluster.Config) {
			c.HistoryKeep = n
			log := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard})
			log.RegisterSink(&sink{func(message string) {
				if strings.Contains(message, "founded with another setting") {
					told.Store(true)
				}
			}})
			c.Logger = log
		}
	}
	for _, c := range []struct {
		keep uint64
		told bool
	}{{5, false}, {5, false}, {6, true}} {
		n, err := alone(t, dir, "n1", keep(c.keep))
		if err != nil {
			t.Fatal(err)
		}
		serve(t, n, func() {
			waitFor(t, "the node is not ready", func() bool { return ready(n) })
			if c.told {
				waitFor(t, "the node does not tell that history-keep has no effect", told.Load)
			}
		})
		if told.Load() != c.told {
			t.Errorf("--history-keep %d: told %v, want %v", c.keep, told.Load(), c.told)
		}
	}
}

// sink gets the messages of a log.
type sink struct{ take func(message string) }

// Accept takes one.
func (s *sink) Accept(_ string, _ hclog.Level, message string, _ ...any) { s.take(message) }

func TestDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	first, err := cluster.OpenDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := cluster.OpenDir(dir, nil); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second process on the directory: %v", err)
	}
}

func TestDirectoryWithoutItsLog(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "snapshots", "2-10-1700000000000"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.OpenDir(dir, nil); err == nil || !strings.Contains(err.Error(), "no log") {
		t.Errorf("a directory with snapshots but no log: %v", err)
	}
}

func TestConfigFaultsAreReportedAtOnce(t *testing.T) {
	err := (&cluster.Config{
		NodeID: "a b", RegistryID: "-", RaftAddress: "here",
		Peers: []cluster.Peer{{ID: "n1", Address: "nowhere"}, {ID: "n1", Address: "127.0.0.1:2"}},
	}).Validate()
	for _, want := range []string{"node id", "registry id", "no storage", `"nowhere"`, "stands twice", "raft address"} {
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "address nowhere", `"nowhere"`), want) {
			t.Errorf("the faults do not tell %q: %v", want, err)
		}
	}
}
