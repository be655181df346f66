package cluster

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
)

// TestHealthyFiles has a log grow with entries of all sizes, lose its beginning and its end, and
// votes be cast between: the check of its file finds nothing, at any time.
func TestHealthyFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	file := filepath.Join(dir, logFile)
	log, err := openLog(file, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { log.Close() }()
	first, last := uint64(1), uint64(0)
	for round := range 60 {
		for range 1 + rng.IntN(6) {
			var entries []*raft.Log
			for range 1 + rng.IntN(40) {
				last++
				size := rng.IntN(500)
				if rng.IntN(20) == 0 {
					size = rng.IntN(300 << 10)
				}
				entries = append(entries, &raft.Log{Index: last, Term: uint64(round), Data: make([]byte, size)})
			}
			if err := log.StoreLogs(sealAll(entries)); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(3) == 0 {
			to := first + rng.Uint64N(last-first+1)
			if err := log.DeleteRange(first, to); err != nil {
				t.Fatal(err)
			}
			first = to + 1
		}
		if rng.IntN(3) == 0 && last > first {
			from := first + 1 + rng.Uint64N(last-first)
			if err := log.DeleteRange(from, last); err != nil {
				t.Fatal(err)
			}
			last = from - 1
		}
		for _, key := range stableKeys() {
			if rng.IntN(3) == 0 {
				if err := log.Set([]byte(key), make([]byte, rng.IntN(700))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if err := checkFile(file); err != nil {
			t.Fatalf("after round %d, with entries %d to %d: %v", round, first, last, err)
		}
		if log, err = openLog(file, false); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullPages has what a page holds end where the page ends, or just before or behind that.
func TestFullPages(t *testing.T) {
	page := os.Getpagesize()
	for pages := 1; pages <= 3; pages++ {
		for over := -1; over <= 1; over++ {
			file := filepath.Join(t.TempDir(), logFile)
			log, err := openLog(file, false)
			if err != nil {
				t.Fatal(err)
			}
			err = log.Set([]byte(identityKey), make([]byte, pages*page+over-pageHead-elementSize-len(identityKey)))
			if err != nil {
				t.Fatal(err)
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
			if err := checkFile(file); err != nil {
				t.Errorf("%d bytes more than %d pages hold: %v", over, pages, err)
			}
		}
	}
}
