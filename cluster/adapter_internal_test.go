package cluster

import (
	"bytes"
	"io"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// TestWaitReturnsTheViewThatSatisfiedIt: a snapshot that is installed late takes the machine
// back right after a reader has seen what it waited for.
func TestWaitReturnsTheViewThatSatisfiedIt(t *testing.T) {
	a := newAdapter(t.Context(), func(err error) { t.Error(err) })
	var old bytes.Buffer
	if _, err := a.view().WriteTo(&old); err != nil {
		t.Fatal(err)
	}
	entry, err := fsm.JoinEntry(1, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Apply(&raft.Log{Index: 7, Type: raft.LogCommand, Data: entry})
	view, err := a.wait(t.Context(), func(v fsm.View) bool {
		if v.Index() < 7 {
			return false
		}
		if err := a.Restore(io.NopCloser(&old)); err != nil {
			t.Error(err)
		}
		return true
	})
	if err != nil || view.Index() != 7 {
		t.Errorf("who waited for index 7 was given the state at %d, %v", view.Index(), err)
	}
	if got := a.view().Index(); got != 0 {
		t.Errorf("the machine is at index %d: it was not taken back", got)
	}
}
