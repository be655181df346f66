package chaos

import (
	"time"

	"github.com/hashicorp/raft"
)

// listing is how long a node of a run takes to list its snapshots: files are looked for and their
// heads are read, while others go on. In memory it would take no time, and nothing could happen
// meanwhile: that is how a compaction that threw entries away could hide.
const listing = 2 * time.Millisecond

// slowList are snapshots that take their time to be listed.
type slowList struct{ raft.SnapshotStore }

// List lists the snapshots.
func (s slowList) List() ([]*raft.SnapshotMeta, error) {
	<-time.After(listing)
	return s.SnapshotStore.List()
}
