package feed

import (
	"context"
	"errors"
	"fmt"

	"github.com/tesd/tesd/fsm"
)

// Cursor is a reader's place in the transactions of a registry. It is for one goroutine.
// It must be closed.
type Cursor struct {
	feed     *Feed
	topic    *topic
	registry string
	after    uint64
}

// Open returns a cursor behind a revision, which may be one that this node does not have
// yet: then it waits. It returns [ErrNoRegistry] if there is no such registry.
func (f *Feed) Open(registry string, after uint64) (*Cursor, error) {
	if _, ok := f.view.Load().Registry(registry); !ok {
		return nil, ErrNoRegistry
	}
	c := &Cursor{feed: f, topic: f.topic(registry), registry: registry, after: after}
	c.topic.cursors.Add(1)
	return c, nil
}

// Close ends the cursor.
func (c *Cursor) Close() { c.topic.cursors.Add(-1) }

// After returns the revision up to which everything was given.
func (c *Cursor) After() uint64 { return c.after }

// Changed returns what is closed once there is more than there is now. Ask for it before
// [Cursor.Take]: then nothing is missed that comes in between.
func (c *Cursor) Changed() <-chan struct{} { return *c.topic.changed.Load() }

// Take returns up to most of the transactions that follow, fewer if they are large, none if
// there are none yet, and moves the cursor behind them. The error is [ErrCompacted], or that of reading the history.
func (c *Cursor) Take(most int) ([]*Item, error) {
	items, ok := c.topic.after(c.after, most)
	if !ok {
		var err error
		if items, err = c.history(most); err != nil {
			return nil, err
		}
	}
	for _, i := range items {
		if i.Transaction.Revision != c.after+1 {
			return nil, fmt.Errorf("revision %d of registry %s follows revision %d", i.Transaction.Revision, c.registry, c.after)
		}
		c.after++
	}
	return items, nil
}

// history reads what follows from the state itself.
func (c *Cursor) history(most int) ([]*Item, error) {
	r, ok := c.feed.view.Load().Registry(c.registry)
	if !ok || r.Revision() <= c.after { // a snapshot can take this node back, even to before the registry
		return nil, nil
	}
	if c.after+1 < r.OldestRevision() {
		return nil, ErrCompacted
	}
	var items []*Item
	weight := 0
	for tx, err := range r.History(c.after) {
		if errors.Is(err, fsm.ErrCompacted) {
			return nil, ErrCompacted
		} else if err != nil {
			return nil, fmt.Errorf("reading the history of registry %s: %w", c.registry, err)
		}
		item := &Item{Transaction: &tx}
		items, weight = append(items, item), weight+item.weight()
		if len(items) >= most || weight > portionBytes {
			break
		}
	}
	return items, nil
}

// Next is [Cursor.Take], and waits for one transaction at least.
func (c *Cursor) Next(ctx context.Context, most int) ([]*Item, error) {
	for {
		changed := c.Changed()
		if items, err := c.Take(most); len(items) > 0 || err != nil {
			return items, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
