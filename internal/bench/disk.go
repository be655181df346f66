package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// refuseMemory returns an error if a directory lies in memory that only looks like a disk: no write to it is
// durable, so that systems would be compared by what they do not promise.
func refuseMemory(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("looking at the file system of %s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("%s lies in memory, where no write is durable; give --dir a directory on a disk", dir)
	}
	return nil
}

// disk says what a write to the disk of a directory takes that is durable: the median of appends of
// a page, each with its fdatasync(2), as a log does it.
func disk(dir string) (string, error) {
	took, err := syncs(filepath.Join(dir, "probe"), 200)
	if err != nil {
		return "", fmt.Errorf("writing to the disk: %w", err)
	}
	return fmt.Sprintf("4 KiB durable in %s µs", number(median(took))), nil
}

// syncs returns how long, in microseconds, each of so many durable appends to a file took.
func syncs(path string, n int) (took []float64, _ error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(path)
	}()
	page := make([]byte, 4<<10)
	for range n {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took = append(took, float64(time.Since(began).Microseconds()))
	}
	return took, nil
}
