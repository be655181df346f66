package main

import (
	"errors"
	"io"
	"math"
	"runtime/debug"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/tesd/tesd/internal/timerslack"
	"go.etcd.io/bbolt"
)

// raftSettings are all that the library lets one choose.
type raftSettings struct {
	raft      *raft.Config
	bolt      raftboltdb.Options
	transport raft.NetworkTransportConfig
	cached    int // entries of the log; 0 for no cache
	machine   raft.FSM
}

// How the library is set.
const (
	asItComes  = "plain"
	forSingles = "tuned"      // all that makes it faster with a command in each entry
	forSharing = "collecting" // all that tesd sets, for entries that hold many commands
)

// settings are those of the library as it comes, tuned, or those that tesd has: in the packages cluster (raftConfig, openLog,
// startRaft, Timing) and cmd/tesd, which this program may not import, as it measures processes.
//
// What tesd puts around the library is not among them: its checksums of entries, its own connections,
// and heartbeats that wait behind appends.
func settings(set string) raftSettings {
	cfg := raft.DefaultConfig()
	cfg.LogOutput, cfg.SnapshotThreshold = io.Discard, math.MaxUint64 // a run is short
	s := raftSettings{
		raft: cfg, machine: &counter{},
		transport: raft.NetworkTransportConfig{MaxPool: 3, Timeout: 10 * time.Second},
	}
	if set == asItComes {
		return s
	}
	cfg.NoLegacyTelemetry = true
	cfg.LogLevel = "INFO"
	s.bolt.BoltOptions = &bbolt.Options{Timeout: 2 * time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}
	s.machine = &batchCounter{}
	s.cached = 512
	if set == forSingles { // it sends ahead, and its entries are small: many go into a write, and into a message
		cfg.MaxAppendEntries, cfg.BatchApplyCh = 1024, true
		return s
	}
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = 500*time.Millisecond, 500*time.Millisecond, 400*time.Millisecond
	cfg.CommitTimeout = 5 * time.Millisecond
	cfg.MaxAppendEntries = 16
	cfg.SnapshotInterval, cfg.NoSnapshotRestoreOnStart = time.Hour, true
	s.transport.Timeout, s.transport.MaxRPCsInFlight = 5*time.Second, 1
	s.cached = 128
	return s
}

// counter is the state machine.
type counter struct{ n uint64 }

// Apply counts an entry.
func (c *counter) Apply(*raft.Log) any { c.n++; return c.n }

// Snapshot and Restore are not come to: a run is short.
func (c *counter) Snapshot() (raft.FSMSnapshot, error) {
	return nil, errors.New("there are no snapshots")
}

// Restore fails as Snapshot does.
func (c *counter) Restore(io.ReadCloser) error { return errors.New("there are no snapshots") }

// batchCounter is the state machine that is given all entries at once that are committed, as that of tesd is.
type batchCounter struct{ counter }

// ApplyBatch counts entries.
func (c *batchCounter) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	for i, l := range logs {
		answers[i] = c.Apply(l)
	}
	return answers
}

// asOurs sets this process as tesd sets its own: how late its threads may be woken, and when it collects garbage.
func asOurs() {
	timerslack.Choose(time.Millisecond)
	debug.SetGCPercent(400)
}
