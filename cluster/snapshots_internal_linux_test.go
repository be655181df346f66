package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/internal/powerloss"
)

// TestSnapshotFilesFail has each write, sync and rename of a snapshot fail: it is not taken for written, and nothing
// of what it had written counts for anything. Only a whole one may stay, if all that failed came after.
func TestSnapshotFilesFail(t *testing.T) {
	dir := t.TempDir()
	disk, err := powerloss.New(dir)
	if errors.Is(err, powerloss.ErrUnavailable) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer func() {
		runtime.GC() // the library leaves the file of a snapshot open that it cannot sync
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	}()
	s, err := openSnapshots(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	_, trans := raft.NewInmemTransport("")
	write := func(index uint64) error {
		sink, err := s.Create(1, index, 2, configuration([]founder{{"n1", "n1:9000", "a"}}), 1, trans)
		if err != nil {
			return err
		}
		if _, err := sink.Write([]byte("the state")); err != nil {
			return errors.Join(err, sink.Cancel())
		}
		return sink.Close()
	}
	failed, index := 0, uint64(10)
	for _, kind := range []powerloss.Kind{powerloss.Write, powerloss.Sync, powerloss.Rename} {
		for n, hit := 1, true; hit; n++ {
			index++
			disk.Fail(kind, n, syscall.EIO, false)
			err := write(index)
			if hit = disk.Failed() != ""; hit != (err != nil) {
				t.Errorf("%v %d, of %q: %v", kind, n, disk.Failed(), err)
			}
			entries, listErr := os.ReadDir(filepath.Join(dir, snapshotDir))
			if listErr != nil {
				t.Fatal(listErr)
			}
			if hit {
				failed++
			}
			for _, e := range entries {
				if indexOf(e.Name()) == index && hit && disk.Failed() != "/"+snapshotDir {
					t.Errorf("%v %d, of %q, failed, and %s is there", kind, n, disk.Failed(), e.Name())
				}
			}
			if faulty, err := s.Faulty(); err != nil || len(faulty) > 0 {
				t.Errorf("%v %d, of %q: %v, %v", kind, n, disk.Failed(), faulty, err)
			}
		}
	}
	if failed < 8 {
		t.Errorf("only %d operations failed", failed)
	}
}
