package powerloss_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
)

// What the tests run as processes of their own: who maps a file into memory must not be who serves it.
const (
	mapping = "map a file"
	storing = "store in a database"
)

// TestMain runs the tests, or one of those processes.
func TestMain(m *testing.M) {
	var err error
	switch len(os.Args) {
	default:
		os.Exit(m.Run())
	case 3:
		switch os.Args[1] {
		default:
			os.Exit(m.Run())
		case mapping:
			err = mapped(os.Args[2])
		case storing:
			err = store(os.Args[2])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestMapsAreCoherent reads through a map what is written beside it, as the library of the log does.
func TestMapsAreCoherent(t *testing.T) {
	d := newDisk(t)
	if out, err := exec.Command(os.Args[0], mapping, d.path("file")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func mapped(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := f.Truncate(8192); err != nil {
		return err
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, 16384, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return err
	}
	for i := range byte(100) {
		at := int64(i) * 80
		if _, err := f.WriteAt([]byte{i}, at); err != nil || m[at] != i {
			return errors.Join(err, fmt.Errorf("at %d the map has %d, not %d", at, m[at], i))
		}
	}
	err = f.Truncate(16384)
	if _, err2 := f.WriteAt([]byte("end"), 16000); err != nil || err2 != nil || string(m[16000:16003]) != "end" || m[80] != 1 {
		return errors.Join(err, err2, fmt.Errorf("after it has grown the map has %q", m[16000:16003]))
	}
	return errors.Join(syscall.Munmap(m), f.Close())
}

// TestDatabase has the library that keeps the log lose power at every sync: what was committed is
// there, and nothing is torn.
func TestDatabase(t *testing.T) {
	d := newDisk(t)
	rng := rand.New(rand.NewPCG(3, 3))
	committed, lost := 0, 0
	for round := range 40 {
		cmd := exec.Command(os.Args[0], storing, d.dir)
		cmd.Stderr = os.Stderr
		n := -1
		err := d.Live(cmd, round%9, func(line string) {
			if _, err := fmt.Sscan(line, &n); err != nil {
				t.Error(err)
			}
		})
		if err == nil || cmd.ProcessState.ExitCode() >= 0 {
			t.Fatalf("round %d: the database is damaged: %v", round, err)
		}
		if n >= 0 && n < committed {
			t.Errorf("round %d: %d were committed, %d are there", round, committed, n)
		}
		committed = max(committed, n)
		l, err := d.Lose(rng)
		d.must(err)
		if l.Any() {
			lost++
		}
	}
	if lost < 20 || committed < 40 {
		t.Errorf("something was lost in only %d of 40 rounds, and %d were committed", lost, committed)
	}
}

// store stores in a database until it cannot, and says how much it has stored. First it checks what
// is there.
func store(dir string) error {
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	n, err := check(db)
	for ; err == nil; n++ {
		fmt.Println(n)
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte("bucket"))
			if err != nil {
				return err
			}
			return b.Put(key(n), value(n))
		})
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func key(n int) []byte { return []byte(strconv.Itoa(n)) }

func value(n int) []byte { return bytes.Repeat(key(n), 1000) }

// check returns how much is stored, from the first on.
func check(db *bbolt.DB) (n int, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return err
		}
		b := tx.Bucket([]byte("bucket"))
		for b != nil && bytes.Equal(b.Get(key(n)), value(n)) {
			n++
		}
		return nil
	})
	return n, err
}
