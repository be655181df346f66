package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// A snapshot is taken when the log since the last one weighs more than this, or than the
	// size of the last snapshot if that is more. So a node applies again for a second or so when
	// it comes back, and writing snapshots costs no more than writing the log does: the store
	// writes several pages for each entry. See [Config.SnapshotBytes].
	snapshotBytes = 64 << 20

	// Behind what the older snapshot needs, the log keeps this many entries more, as long
	// as they do not weigh more than so many bytes, so that a follower that is a little behind
	// needs no snapshot. An entry may hold one command or a thousand.
	trailingEntries = 4096
	trailingBytes   = 32 << 20

	snapshotRetry = 10 * time.Second // after one that could not be written
	snapshotLong  = time.Minute      // a snapshot that takes so long is told of, each time anew
)

// snapshotTaker takes snapshots, one at a time, beside the housekeeping that looks whether one
// is due. One that fails is counted and tried again; one that hangs is told of, and holds up
// nothing but the snapshots after it: the log grows until the disk is nearly full, and then the
// node takes no writes.
type snapshotTaker struct {
	node      *Node
	consensus *consensus

	taking sync.WaitGroup
	busy   atomic.Bool               // a snapshot is being taken
	failed atomic.Pointer[time.Time] // when the last could not be written, if that failed
	began  time.Time                 // when it was, or was told of last; the housekeeping's
}

// look takes a snapshot if one is due. It does not wait for it.
func (t *snapshotTaker) look(ctx context.Context) {
	n, now := t.node, time.Now()
	if t.busy.Load() {
		if now.Sub(t.began) >= snapshotLong {
			n.log.Error("a snapshot is not done yet; it is large, or its disk hangs", "snapshotsFailed", n.snapshotsFailed.Load())
			t.began = now
		}
		return
	}
	if n.adapter.logged.Load() <= max(n.cfg.SnapshotBytes, n.adapter.snapshotSize.Load()) || t.rests(now) {
		return
	}
	t.busy.Store(true)
	t.began = now
	t.taking.Go(func() {
		defer t.busy.Store(false)
		if err := t.take(ctx); err != nil && ctx.Err() == nil {
			n.snapshotsFailed.Add(1)
			now := time.Now()
			t.failed.Store(&now)
			n.log.Error("snapshot_failed", "error", err)
		}
	})
}

// rests reports whether it is too early to try again after a snapshot that could not be written. It goes
// by the monotonic clock: the time of day may be put right meanwhile, from a year ahead.
func (t *snapshotTaker) rests(now time.Time) bool {
	failed := t.failed.Load()
	return failed != nil && now.Sub(*failed) < snapshotRetry
}

// take writes a snapshot. The log keeps what came since the one before, so that the older of
// the two snapshots on disk stays usable.
func (t *snapshotTaker) take(ctx context.Context) error {
	n, r := t.node, t.consensus.raft
	var taken []*raft.SnapshotMeta
	err := n.disk.read(operation{what: "listing the snapshots"}, func() (err error) { taken, err = n.disk.snapshots.List(); return err })
	if err != nil {
		return err
	}
	var last uint64
	if len(taken) > 0 {
		last = taken[0].Index // the newest
	}
	applied := r.AppliedIndex()
	settings := r.ReloadableConfig()
	settings.TrailingLogs = trailing(applied-min(last, applied), n.adapter.logged.Load(), n.cfg.TrailingLogs)
	if err := r.ReloadConfig(settings); err != nil {
		return err
	}
	began, givenUp := time.Now(), n.adapter.givenUp.Load()
	done := make(chan error, 1)
	go func() { done <- r.Snapshot().Error() }() // which may hang with the disk
	select {
	case err = <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if errors.Is(err, raft.ErrNothingNewToSnapshot) || n.adapter.givenUp.Load() != givenUp { // see errReplaced, which raft does not hand on
		return nil
	} else if err == nil {
		n.log.Info("snapshot taken", "index", applied, "bytes", n.adapter.snapshotSize.Load(), "duration", time.Since(began))
	}
	return err
}

// trailing returns how many entries the log keeps behind a snapshot, if those since the snapshot
// before are so many and have that weight, and at most so many more are to stay. It is one at
// least: raft removes entries up to the end of the log only when they conflict.
func trailing(entries uint64, weight int64, more uint64) uint64 {
	average := max(uint64(weight)/max(entries, 1), 1)
	return max(entries+min(more, trailingBytes/average), 1)
}
