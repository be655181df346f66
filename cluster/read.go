package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/feed"
)

// View returns this node's own state as it is, without waiting for anything. It may
// be that of a cluster not yet founded.
func (n *Node) View() fsm.View { return n.adapter.view() }

// Feed returns the transactions of this node, as it applies them. It may be called at any
// time; nobody is woken while the node does not run.
func (n *Node) Feed() *feed.Feed { return n.adapter.feed }

// Read returns a state as fresh as the options ask for. It may be called on any node
// and concurrently. It returns [ErrNoLeader] when no leader was found in time, and
// [ErrNotReady] for what else keeps this node from serving the read, a deadline of
// ctx among it.
func (n *Node) Read(ctx context.Context, o ReadOptions) (fsm.View, error) {
	if n.draining.Load() {
		return fsm.View{}, ErrShuttingDown
	}
	if reason := n.unfit(); reason != "" {
		return fsm.View{}, notReady("%s", reason)
	}
	patience := n.patience()
	for {
		enough, asOf, err := n.freshness(ctx, o)
		if err != nil {
			return fsm.View{}, err
		}
		view, err := n.adapter.wait(ctx, enough)
		switch {
		case errors.Is(err, ErrShuttingDown):
			return fsm.View{}, err
		case err != nil:
			return fsm.View{}, notReady("the deadline passed before this node had the state that the read needs")
		case o.MaxStale == 0 || time.Since(asOf) <= o.MaxStale:
			return view, nil
		}
		// By the time that it was here the state had become too old.
		if err := patience.wait(ctx, nil, notReady("this node has no state that is no older than %v", o.MaxStale)); err != nil {
			return fsm.View{}, err
		}
	}
}

// freshness returns the condition that a view must meet and, with MaxStale, since when at
// most there may be something newer than it.
func (n *Node) freshness(ctx context.Context, o ReadOptions) (enough func(fsm.View) bool, asOf time.Time, err error) {
	var index uint64
	switch {
	case o.Mode == Linearizable:
		index, err = n.readIndex(ctx)
	case o.MaxStale > 0:
		if index, asOf, err = n.recentIndex(ctx, o.MaxStale); errors.Is(err, ErrNoLeader) {
			err = notReady("this node cannot tell that its state is no older than %v: %v", o.MaxStale, err)
		}
	case o.MinRevision > 0: // that the revision is here is proof enough
	case !n.heard.Load():
		err = notReady("this node has not heard from a leader since its start")
	}
	if err != nil {
		return nil, asOf, err
	}
	return func(v fsm.View) bool {
		if v.Index() < index || !v.Founded() {
			return false
		}
		if o.MinRevision == 0 {
			return true
		}
		r, ok := v.Registry(o.Registry)
		return ok && r.Revision() >= o.MinRevision
	}, asOf, nil
}

// readIndex returns an index such that a view that has it holds everything that was
// acknowledged or served anywhere before the call.
func (n *Node) readIndex(ctx context.Context) (uint64, error) {
	patience := n.patience()
	for {
		index, err := n.started().index.own.do(ctx)
		if err == nil {
			return index, nil
		}
		if ctx.Err() != nil {
			return 0, notReady("the deadline passed before a read index was found: %v", err)
		}
		if errors.Is(err, ErrShuttingDown) {
			return 0, err
		}
		if reason := n.unfit(); reason != "" { // found out while the round was tried
			return 0, notReady("%s", reason)
		}
		if err := patience.wait(ctx, nil, err); err != nil {
			return 0, err
		}
	}
}

// recentIndex returns the index of a round that began no longer than bound ago, and when.
// It takes a new round only if the last one is older.
func (n *Node) recentIndex(ctx context.Context, bound time.Duration) (uint64, time.Time, error) {
	latest := &n.started().index.latest
	if last := latest.Load(); last != nil && time.Since(last.began) <= bound {
		return last.index, last.began, nil
	}
	if _, err := n.readIndex(ctx); err != nil {
		return 0, time.Time{}, err
	}
	last := latest.Load() // of the round that was waited for, or one after it
	return last.index, last.began, nil
}
