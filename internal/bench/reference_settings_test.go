package main

import (
	"testing"

	"github.com/hashicorp/raft"
)

// TestSettings: the reference can be started with each: as the library comes, tuned, and with what tesd sets.
func TestSettings(t *testing.T) {
	plain, tuned, sharing := settings(asItComes), settings(forSingles), settings(forSharing)
	for _, s := range []raftSettings{plain, tuned, sharing} {
		s.raft.LocalID = "n1"
		if err := raft.ValidateConfig(s.raft); err != nil {
			t.Error(err)
		}
	}
	if _, batches := plain.machine.(raft.BatchingFSM); batches || plain.bolt.BoltOptions != nil || plain.cached > 0 || plain.raft.CommitTimeout != raft.DefaultConfig().CommitTimeout {
		t.Errorf("the library as it comes has %+v", plain)
	}
	batching, batches := tuned.machine.(raft.BatchingFSM)
	if !batches || !tuned.bolt.BoltOptions.NoFreelistSync || tuned.cached == 0 || tuned.transport.MaxRPCsInFlight == 1 {
		t.Errorf("the tuned library has %+v", tuned)
	}
	if sharing.raft.MaxAppendEntries != 16 || sharing.transport.MaxRPCsInFlight != 1 {
		t.Errorf("the library with what tesd sets has %+v", sharing)
	}
	if batches {
		if got := batching.ApplyBatch(make([]*raft.Log, 3)); len(got) != 3 || got[2] != uint64(3) {
			t.Errorf("the answers to three entries are %v", got)
		}
	}
}
