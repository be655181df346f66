package cluster

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

// BenchmarkReadLog opens a data directory and reads its whole log, as a start does.
func BenchmarkReadLog(b *testing.B) {
	for _, c := range []struct{ entries, size int }{{350_000, 300}, {25_000, 4 << 10}, {500, 200 << 10}} {
		dir := b.TempDir()
		storage, err := OpenDir(dir, nil)
		if err != nil {
			b.Fatal(err)
		}
		for at := 0; at < c.entries; at += 500 {
			logs := make([]*raft.Log, 500)
			for i := range logs {
				logs[i] = &raft.Log{Index: uint64(at + i + 1), Term: 1, Data: make([]byte, c.size)}
			}
			if err := storage.Log.StoreLogs(sealAll(logs)); err != nil {
				b.Fatal(err)
			}
		}
		if err := storage.Close(); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("entries=%d/bytes=%d", c.entries, c.size), func(b *testing.B) {
			for b.Loop() {
				storage, err := OpenDir(dir, nil)
				if err != nil {
					b.Fatal(err)
				}
				disk, err := openFailStop(storage)
				if err != nil {
					b.Fatal(err)
				}
				if last, err := disk.check(); err != nil || last.Index != uint64(c.entries) {
					b.Fatal(last.Index, err)
				}
				if err := storage.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
