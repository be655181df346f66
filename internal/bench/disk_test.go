package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDisk: the disk is measured, and nothing is left behind.
func TestDisk(t *testing.T) {
	dir := t.TempDir()
	took, err := syncs(filepath.Join(dir, "probe"), 5)
	if err != nil || len(took) != 5 {
		t.Errorf("5 durable appends: %v, %v", took, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	if _, err := syncs(filepath.Join(dir, "no", "probe"), 1); err == nil {
		t.Error("a directory that does not exist can be written to")
	}
}

// TestMemoryIsRefused: before tesd is built, which takes a while, and without leaving anything behind.
func TestMemoryIsRefused(t *testing.T) {
	const memory = "/dev/shm"
	var fs unix.Statfs_t
	if err := unix.Statfs(memory, &fs); err != nil || fs.Type != unix.TMPFS_MAGIC {
		t.Skip("no memory that looks like a disk is here to be refused")
	}
	dir, err := os.MkdirTemp(memory, "bench-test-")
	if err != nil {
		t.Skip("it cannot be written to:", err)
	}
	defer os.RemoveAll(dir)
	nothing := filepath.Join(t.TempDir(), "no source")
	if _, _, _, _, err := setUp(t.Context(), dir, nothing, "", true); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("memory as a disk: %v, want that --dir is to be given", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
