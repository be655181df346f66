package cluster

import "testing"

// TestEntryLimits holds what is taken off the queue to what one entry may hold.
func TestEntryLimits(t *testing.T) {
	type kind struct{ number, bytes, reach int }
	for _, tc := range []struct {
		name   string
		queued []kind
		want   []int // how many commands each entry takes
	}{
		{"little", []kind{{10, 100, 1}}, []int{10}},
		{"many", []kind{{2*entryCommands + 1, 1, 0}}, []int{entryCommands, entryCommands, 1}},
		{"just as large as may be", []kind{{4, entryBytes / 2, 1}}, []int{2, 2}},
		{"a byte larger", []kind{{4, entryBytes/2 + 1, 1}}, []int{1, 1, 1, 1}},
		{"one larger than an entry", []kind{{1, 10, 1}, {1, 4 * entryBytes, 1}, {2, 10, 1}}, []int{1, 1, 2}},
		{"far reaching", []kind{{3, 10, entryReach / 2}}, []int{2, 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := newProposer(&Node{})
			for _, k := range tc.queued {
				for range k.number {
					if _, err := q.add(&pending{command: make([]byte, k.bytes), reach: k.reach}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, want := range tc.want {
				select {
				case <-q.wake:
				default:
					t.Fatalf("nobody looks for entry %d before the next command comes", i+1)
				}
				if got := len(q.take()); got != want {
					t.Errorf("entry %d takes %d commands, want %d", i+1, got, want)
				}
			}
			if left := len(q.take()); left > 0 || q.bytes != 0 {
				t.Errorf("%d commands and %d bytes are left", left, q.bytes)
			}
		})
	}
}
