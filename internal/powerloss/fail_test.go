package powerloss_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/tesd/tesd/internal/powerloss"
)

// fails fails the test unless an operation failed for this reason.
func (d *disk) fails(err error, want syscall.Errno, path string) {
	d.t.Helper()
	if !errors.Is(err, want) {
		d.t.Errorf("it ended with %v, want %v", err, want)
	}
	if got := d.Failed(); got != path {
		d.t.Errorf("what failed is %q, want %q", got, path)
	}
}

func TestNthFails(t *testing.T) {
	d := newDisk(t)
	d.must(os.Mkdir(d.path("dir"), 0o700))
	f, err := os.Create(d.path("dir/file"))
	d.must(err)
	write := func(text string) error { _, err := f.WriteString(text); return err }
	before := d.Count(powerloss.Write)
	d.Fail(powerloss.Write, 2, syscall.ENOSPC, false)
	d.must(write("a"))
	d.must(f.Sync())
	d.fails(write("b"), syscall.ENOSPC, "/dir/file")
	d.must(write("c"))
	d.Fail(powerloss.Write, 1, syscall.EIO, true)
	d.fails(write("d"), syscall.EIO, "/dir/file")
	d.fails(f.Truncate(100), syscall.EIO, "/dir/file")
	d.Fail(powerloss.Write, 0, 0, false)
	d.must(write("e"))
	if n := d.Count(powerloss.Write) - before; n != 6 {
		t.Errorf("there were %d writes", n)
	}
	d.must(f.Close())
	d.holds("dir/file", []byte("ace"))
	d.Fail(powerloss.Rename, 1, syscall.EIO, false)
	d.fails(os.Rename(d.path("dir/file"), d.path("other")), syscall.EIO, "/dir/file")
	d.must(os.Rename(d.path("dir/file"), d.path("other")))
	d.holds("other", []byte("ace"))
}

// TestFailedSyncIsForgotten has a sync fail: what was to be made durable stays to be read, and is lost with the
// power, whatever is synced meanwhile, but for what is written once more.
func TestFailedSyncIsForgotten(t *testing.T) {
	d := newDisk(t)
	page := func(b byte) []byte { return append(make([]byte, 4095), b) }
	three := func(a, b, c byte) []byte { return append(append(page(a), page(b)...), page(c)...) }
	d.write("file", three(1, 2, 3), true)
	d.sync(".")
	f, err := os.OpenFile(d.path("file"), os.O_RDWR, 0)
	d.must(err)
	at := func(i int64, b byte) {
		_, err := f.WriteAt(page(b), i*4096)
		d.must(err)
	}
	at(0, 11)
	at(1, 12)
	d.Fail(powerloss.Sync, 1, syscall.EIO, false)
	d.fails(f.Sync(), syscall.EIO, "/file")
	at(1, 12)
	at(2, 13)
	d.must(errors.Join(f.Sync(), f.Close()))
	d.holds("file", three(11, 12, 13))
	if l := d.lose(nil, true); l.Sectors != 1 {
		t.Error(l)
	}
	d.holds("file", three(1, 12, 13))
}
