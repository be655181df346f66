package clustertest

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
)

// archivedNode returns a node, which does not run, with entries 1 to last of term 1 in its log.
func archivedNode(t *testing.T, last uint64) (*Archive, *Node) {
	t.Helper()
	a, n := NewArchive(), &Node{ID: "n1"}
	n.Wipe()
	a.Keep(n)
	for i := uint64(1); i <= last; i++ {
		write(t, n, i, 1)
	}
	return a, n
}

func write(t *testing.T, n *Node, index, term uint64) {
	t.Helper()
	if err := n.Log.StoreLogs([]*raft.Log{{Index: index, Term: term}}); err != nil {
		t.Fatal(err)
	}
}

// begin begins a snapshot as one that a leader sends.
func begin(t *testing.T, n *Node, index, term uint64) raft.SnapshotSink {
	t.Helper()
	_, transport := raft.NewInmemTransport("")
	sink, err := n.Snapshots.Create(raft.SnapshotVersionMax, index, term, raft.Configuration{}, 1, transport)
	if err != nil {
		t.Fatal(err)
	}
	return sink
}

// TestSnapshotThatBreaksOff: the log goes on where it was, and the archive knows what is there.
func TestSnapshotThatBreaksOff(t *testing.T) {
	a, n := archivedNode(t, 3)
	if err := begin(t, n, 9, 2).Cancel(); err != nil {
		t.Fatal(err)
	}
	begin(t, n, 9, 2) // and one that its process does not live to finish
	write(t, n, 4, 2)
	if len(a.faults) > 0 {
		t.Errorf("the archive says %v", a.faults)
	}
	if taken, given := a.Snapshots(); taken != 0 || given != 0 {
		t.Errorf("%d snapshots taken and %d given; want none", taken, given)
	}
}

// TestSnapshotThatIsGiven: the log goes on behind it, and nowhere else.
func TestSnapshotThatIsGiven(t *testing.T) {
	a, n := archivedNode(t, 3)
	sink := begin(t, n, 9, 2)
	for range 2 {
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, n, 10, 2)
	if len(a.faults) > 0 {
		t.Errorf("the archive says %v", a.faults)
	}
	if taken, given := a.Snapshots(); taken != 0 || given != 1 {
		t.Errorf("%d snapshots taken and %d given; want 0 and 1", taken, given)
	}
	write(t, n, 4, 2)
	if len(a.faults) != 1 || !strings.Contains(a.faults[0].Error(), "n1 wrote log entry 4 of term 2 behind none") {
		t.Errorf("the archive says %v", a.faults)
	}
}

// TestSnapshotThatIsThereAllTheSame: its sync failed, and yet the node goes on from it.
func TestSnapshotThatIsThereAllTheSame(t *testing.T) {
	a, n := archivedNode(t, 3)
	sink := begin(t, n, 9, 2)
	n.Disk.FailAt(1, true, syscall.EIO)
	if err := sink.Close(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("finishing the snapshot: %v", err)
	}
	write(t, n, 10, 2)
	if len(a.faults) > 0 {
		t.Errorf("the archive says %v", a.faults)
	}
}

// TestLogsThatDoNotMatch are found: an entry of one index and term has one predecessor and one content.
func TestLogsThatDoNotMatch(t *testing.T) {
	a, n := archivedNode(t, 3)
	write(t, n, 4, 3)
	other := &Node{ID: "n2"}
	other.Wipe()
	a.Keep(other)
	write(t, other, 1, 1)
	write(t, other, 2, 1)
	write(t, other, 3, 2)
	write(t, other, 4, 3)
	if len(a.faults) != 1 || !strings.Contains(a.faults[0].Error(), "behind one of term 2; it was written behind one of term 1") {
		t.Errorf("the archive says %v", a.faults)
	}
	if err := n.Log.StoreLogs([]*raft.Log{{Index: 4, Term: 3, Data: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if len(a.faults) != 2 || !strings.Contains(a.faults[1].Error(), "n1 wrote another log entry 4 of term 3") {
		t.Errorf("the archive says %v", a.faults)
	}
}
