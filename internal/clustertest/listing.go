package clustertest

import (
	"time"

	"github.com/hashicorp/raft"
)

// listing is how long it takes to list snapshots on a disk: files are looked for and their heads
// are read, while others go on.
const listing = 2 * time.Millisecond

// SlowListing returns snapshots that take their time to be listed. In memory it takes none, and
// nothing can happen meanwhile: that is how a compaction that threw entries away could hide.
func SlowListing(s raft.SnapshotStore) raft.SnapshotStore { return slowList{s} }

type slowList struct{ raft.SnapshotStore }

// List lists the snapshots.
func (s slowList) List() ([]*raft.SnapshotMeta, error) {
	<-time.After(listing)
	return s.SnapshotStore.List()
}
