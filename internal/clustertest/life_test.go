package clustertest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// TestWriteThatHangsOverAStart does not reach the log that the next process has taken over.
func TestWriteThatHangsOverAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(t, 1, nil)
		n := c.Leader()
		last := n.View().Index()
		var stalled atomic.Bool
		stalled.Store(true)
		resume := n.Disk.Hang(func(what string) bool { return what == "log" && stalled.Load() })
		ctx, cancel := context.WithCancel(t.Context())
		go n.Propose(ctx, fsm.Command{Registry: Registry, Actor: "a", Op: fsm.Bump{}})
		synctest.Wait()
		stalled.Store(false) // for other writes
		cancel()
		c.Stop(n)
		c.Start(n)
		c.Leader()
		resume()
		synctest.Wait()
		var next raft.Log
		if err := n.Store.GetLog(last+1, &next); err != nil {
			t.Fatal(err)
		}
		if next.Type == raft.LogCommand {
			t.Errorf("log entry %d is the one that hung", next.Index)
		}
	})
}

// TestSnapshotOfADeadProcess is never finished.
func TestSnapshotOfADeadProcess(t *testing.T) {
	_, n := archivedNode(t, 3)
	l := &life{disk: n.Disk}
	alive := n.Snapshots
	n.Snapshots = lifeSnapshots{alive, l}
	sink := begin(t, n, 9, 2)
	l.end()
	if err := sink.Close(); !errors.Is(err, errDead) {
		t.Errorf("finishing it: %v", err)
	}
	if all, err := alive.List(); err != nil || len(all) > 0 {
		t.Errorf("there are %d snapshots, %v", len(all), err)
	}
}
