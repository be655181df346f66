package cluster

import (
	"testing"
	"testing/synctest"
)

// TestBatchesLeaveRoom: what all followers of a large cluster have under way at most is less than the leader's
// queue takes.
func TestBatchesLeaveRoom(t *testing.T) {
	const followers = 4 // as many as a cluster of five has
	for name, tc := range map[string]struct{ commands, size, batches int }{
		"small ones":         {1, 100, batchesUnderWay},
		"nearly full ones":   {entryCommands - 1, 100, 2},
		"as many as it may":  {entryCommands, 100, 1},
		"as large as it may": {1, entryBytes, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, back := newBatches(), make(chan struct{})
			batch := make([]*pending, tc.commands)
			for i := range batch {
				batch[i] = &pending{command: make([]byte, tc.size)}
			}
			sent := 0
			for b.room() {
				b.send(batch, func() { <-back })
				sent++
			}
			if sent != tc.batches {
				t.Errorf("%d batches are under way, want %d", sent, tc.batches)
			}
			if b.last != tc.commands {
				t.Errorf("the last batch had %d commands, it says %d", tc.commands, b.last)
			}
			if all := followers * sent * tc.commands; all > queueCommands {
				t.Errorf("all followers have %d commands under way, the queue takes %d", all, queueCommands)
			}
			close(back)
			b.ends.Wait()
			<-b.back
			if !b.room() {
				t.Error("there is no room with nothing under way")
			}
		})
	}
}

// TestDispatchWhileBatchesAreOut has a node look again at once when another one leads, though there is no room for a batch.
func TestDispatchWhileBatchesAreOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, c := newProposer(&Node{}), &consensus{leader: newLeaderWatch()}
		q.underWay.count = batchesUnderWay
		c.leader.set("a", "n1")
		go q.dispatch(t.Context(), c)
		synctest.Wait()
		if len(q.wake) > 0 {
			t.Fatal("it does not wait for room")
		}
		c.leader.set("b", "n2")
		synctest.Wait()
		if len(q.wake) == 0 {
			t.Error("it does not look again when the leader changes")
		}
	})
}
