package powerloss_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/powerloss"
)

// disk is one that ends with the test.
type disk struct {
	*powerloss.Disk
	t   *testing.T
	dir string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	dir := t.TempDir()
	d, err := powerloss.New(dir)
	if errors.Is(err, powerloss.ErrUnavailable) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return &disk{d, t, dir}
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *disk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// write writes a file, and syncs it if asked to.
func (d *disk) write(name string, content []byte, sync bool) {
	d.t.Helper()
	f, err := os.OpenFile(d.path(name), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	d.must(err)
	_, err = f.Write(content)
	if sync {
		err = errors.Join(err, f.Sync())
	}
	d.must(errors.Join(err, f.Close()))
}

// sync makes the names in a directory durable.
func (d *disk) sync(dir string) {
	d.t.Helper()
	f, err := os.Open(d.path(dir))
	d.must(err)
	d.must(errors.Join(f.Sync(), f.Close()))
}

// lose loses power, and says how much must be lost.
func (d *disk) lose(rng *rand.Rand, any bool) powerloss.Loss {
	d.t.Helper()
	l, err := d.Lose(rng)
	d.must(err)
	if l.Any() != any {
		d.t.Errorf("%v", l)
	}
	return l
}

// holds fails the test unless a file has this content; nil if there must be none.
func (d *disk) holds(name string, want []byte) {
	d.t.Helper()
	got, err := os.ReadFile(d.path(name))
	switch {
	case want == nil && errors.Is(err, fs.ErrNotExist):
	case err != nil:
		d.t.Error(err)
	case want == nil:
		d.t.Errorf("%s is there", name)
	case !bytes.Equal(got, want):
		d.t.Errorf("%s has %d bytes which begin with %.20q, want %d which begin with %.20q", name, len(got), got, len(want), want)
	}
}

func TestSyncedSurvives(t *testing.T) {
	d := newDisk(t)
	big := bytes.Repeat([]byte("0123456789"), 100_000)
	d.must(os.Mkdir(d.path("dir"), 0o700))
	d.sync(".")
	d.write("dir/file", big, true)
	d.sync("dir")
	d.lose(nil, false)
	d.holds("dir/file", big)
	info, err := os.Stat(d.path("dir/file"))
	d.must(err)
	if info.Mode() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
}

func TestUnsyncedIsLost(t *testing.T) {
	d := newDisk(t)
	old, young := bytes.Repeat([]byte("old"), 5000), bytes.Repeat([]byte("new"), 6000)
	d.write("file", old, true)
	d.sync(".")
	d.write("file", young, false)
	d.holds("file", young)
	if l := d.lose(nil, true); l.Sectors != (len(young)+511)/512 || l.Sizes != 1 || l.Names != 0 {
		t.Error(l)
	}
	d.holds("file", old)
	d.must(os.Truncate(d.path("file"), 1000))
	d.holds("file", old[:1000])
	d.lose(nil, true)
	d.holds("file", old)
	d.lose(nil, false)
}

// TestNamesAreOfTheirDirectory syncs files and not the directories that they are in.
func TestNamesAreOfTheirDirectory(t *testing.T) {
	d := newDisk(t)
	d.must(os.Mkdir(d.path("kept"), 0o700))
	d.sync(".")
	d.must(os.Mkdir(d.path("lost"), 0o700))
	d.write("kept/file", []byte("a"), true)
	d.sync("kept")
	d.write("lost/file", []byte("b"), true)
	d.sync("lost")
	d.write("kept/other", []byte("c"), true)
	d.lose(nil, true)
	d.holds("kept/file", []byte("a"))
	d.holds("kept/other", nil)
	d.holds("lost/file", nil)
}

func TestUnsyncedRenameIsLost(t *testing.T) {
	d := newDisk(t)
	d.write("old", []byte("old"), true)
	d.write("new", []byte("new"), true)
	d.sync(".")
	d.must(os.Rename(d.path("new"), d.path("old")))
	d.holds("old", []byte("new"))
	if l := d.lose(nil, true); l.Names != 2 {
		t.Error(l)
	}
	d.holds("old", []byte("old"))
	d.holds("new", []byte("new"))
	d.must(os.Rename(d.path("new"), d.path("old")))
	d.sync(".")
	d.lose(nil, false)
	d.holds("old", []byte("new"))
	d.holds("new", nil)
	d.must(os.Remove(d.path("old")))
	d.lose(nil, true)
	d.holds("old", []byte("new"))
}

// TestRenamesAreAtomic moves a file between two directories of which one is synced, and loses others by
// chance: it is in one of them, always.
func TestRenamesAreAtomic(t *testing.T) {
	d := newDisk(t)
	d.must(errors.Join(os.Mkdir(d.path("a"), 0o700), os.Mkdir(d.path("b"), 0o700)))
	d.write("a/0", []byte("x"), true)
	d.sync("a")
	d.sync(".")
	d.must(os.Rename(d.path("a/0"), d.path("b/1")))
	d.sync("a")
	d.lose(nil, false)
	d.holds("b/1", []byte("x"))
	rng := rand.New(rand.NewPCG(1, 1))
	in := map[string]int{}
	for range 40 {
		d.must(os.Rename(d.path("b/1"), d.path("a/0")))
		_, err := d.Lose(rng)
		d.must(err)
		a, errA := os.ReadFile(d.path("a/0"))
		b, errB := os.ReadFile(d.path("b/1"))
		if string(a)+string(b) != "x" {
			t.Fatalf("%v, %v", errA, errB)
		}
		in[string(a)+"-"+string(b)]++
		if errB != nil {
			d.must(os.Rename(d.path("a/0"), d.path("b/1")))
		}
		d.sync("a")
	}
	if in["x-"] == 0 || in["-x"] == 0 {
		t.Errorf("it never was in one of them: %v", in)
	}
}

// TestTornSectors finds sectors of both contents, each of them whole.
func TestTornSectors(t *testing.T) {
	d := newDisk(t)
	const size = 64 << 10
	rng := rand.New(rand.NewPCG(2, 2))
	torn := 0
	for range 20 {
		d.write("file", bytes.Repeat([]byte{'o'}, size), true)
		d.sync(".")
		f, err := os.OpenFile(d.path("file"), os.O_WRONLY, 0)
		d.must(err)
		_, err = f.Write(bytes.Repeat([]byte{'n'}, size))
		d.must(errors.Join(err, f.Close()))
		l, err := d.Lose(rng)
		d.must(err)
		if l.Sectors+l.Kept != size/512 {
			t.Errorf("of %d sectors: %v", size/512, l)
		}
		got, err := os.ReadFile(d.path("file"))
		d.must(err)
		kept := 0
		for sector := range slices.Chunk(got, 512) {
			if n := bytes.Count(sector, []byte{'n'}); n == 512 {
				kept++
			} else if n != 0 {
				t.Fatalf("%d bytes of a sector were written", n)
			}
		}
		if kept != l.Kept || len(got) != size {
			t.Errorf("%d of %d bytes: %d sectors are new: %v", len(got), size, kept, l)
		}
		if l.Kept > 0 && l.Sectors > 0 {
			torn++
		}
	}
	if torn < 5 {
		t.Errorf("only %d of 20 were torn", torn)
	}
}

// TestHeldSyncs loses power while a sync waits.
func TestHeldSyncs(t *testing.T) {
	d := newDisk(t)
	d.write("file", []byte("old"), true)
	d.sync(".")
	before := d.Syncs()
	held := d.Hold(1, time.Minute)
	d.write("file", []byte("new"), true)
	f, err := os.OpenFile(d.path("file"), os.O_WRONLY, 0)
	d.must(err)
	failed := make(chan error)
	go func() {
		_, err := f.Write([]byte("lost"))
		failed <- errors.Join(err, f.Sync(), f.Close())
	}()
	<-held
	d.Cut()
	if err := <-failed; !errors.Is(err, syscall.EIO) {
		t.Errorf("the sync that waited ended with %v", err)
	}
	if n := d.Syncs() - before; n != 2 {
		t.Errorf("there were %d syncs", n)
	}
	d.lose(nil, true)
	d.holds("file", []byte("new"))
	d.Hold(0, 20*time.Millisecond)
	d.write("file", []byte("late"), true) // once the time is over
	d.lose(nil, false)
	d.holds("file", []byte("late"))
}

func TestLies(t *testing.T) {
	d := newDisk(t)
	d.write("file", []byte("old"), true)
	d.sync(".")
	d.Lie(true)
	d.write("file", []byte("new"), true)
	d.write("other", []byte("x"), true)
	d.sync(".")
	d.Lie(false)
	if l := d.lose(nil, true); l.Sectors != 1 || l.Names != 1 {
		t.Error(l)
	}
	d.holds("file", []byte("old"))
	d.holds("other", nil)
}
