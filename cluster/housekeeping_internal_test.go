package cluster

import "testing"

func TestTrailing(t *testing.T) {
	for _, c := range []struct {
		entries uint64
		bytes   int64
		want    uint64
	}{
		{0, 0, trailingEntries},
		{1_000_000, 64 << 20, 1_000_000 + trailingEntries}, // small entries: by number
		{256, 64 << 20, 256 + 128},                         // large ones: by size
		{1, 200 << 20, 1},
	} {
		if got := trailing(c.entries, c.bytes, trailingEntries); got != c.want {
			t.Errorf("after %d entries of %d bytes the log keeps %d, want %d", c.entries, c.bytes, got, c.want)
		}
	}
}
