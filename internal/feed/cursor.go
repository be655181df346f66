package feed

import (
	"context"
	"fmt"
)

// Cursor is a reader's place in the transactions of a registry. It is for one goroutine.
// It must be closed.
type Cursor struct {
	feed     *Feed
	topic    *topic
	registry string
	after    uint64
	asked    *news // the last that Changed has asked for
}

// Open returns a cursor behind a revision of a registry that exists. This node may not have the
// revision yet, or not even the registry: then the cursor waits.
func (f *Feed) Open(registry string, after uint64) *Cursor {
	c := &Cursor{feed: f, topic: f.topic(registry), registry: registry, after: after}
	if c.topic.cursors.Add(1) == 1 {
		f.watched.Add(1)
	}
	return c
}

// Close ends the cursor.
func (c *Cursor) Close() {
	if c.topic.cursors.Add(-1) == 0 {
		c.feed.watched.Add(-1)
		c.topic.window.Store(&window{}) // nobody needs it
	}
}

// After returns the revision up to which everything was given.
func (c *Cursor) After() uint64 { return c.after }

// Changed returns what is closed once there is more than there is now. Ask for it before
// [Cursor.Take]: then nothing is missed that comes in between.
func (c *Cursor) Changed() <-chan struct{} {
	news := c.topic.news.Load()
	if c.asked != news {
		c.asked = news
		news.waiting.Add(1)
	}
	return news.come
}

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
	if items, err := c.feed.blocks.after(r, c.after); len(items) > 0 || err != nil {
		return portion(items[:min(most, len(items))]), err
	}
	items, _, err := readHistory(r, c.after, most, portionBytes)
	return items, err
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
