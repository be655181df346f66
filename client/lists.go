package client

import (
	"context"
	"fmt"
	"iter"
)

// listPage is how many things a list asks for at once: the most that a server gives.
const listPage = 1000

// Entities iterates over the entities that o selects, by id, and reads them page by page. The registry may
// move on between two pages: an entity that is there throughout comes exactly once. A Limit bounds how many
// come in all. The sequence ends with the first error.
func (c *Client) Entities(ctx context.Context, o RegistryOptions, options ...ReadOption) iter.Seq2[Entity, error] {
	return paged(o.Limit, func() func(int) ([]Entity, bool, error) {
		o := o
		return func(limit int) ([]Entity, bool, error) {
			o.Limit = limit
			page, err := c.Registry(ctx, o, options...)
			if err != nil {
				return nil, false, err
			}
			if page.Next != "" && page.Next <= o.After {
				return nil, false, fmt.Errorf("tesd: pages go in circles: after entity %q comes %q", o.After, page.Next)
			}
			o.After = page.Next
			return page.Entities, page.Next != "", nil
		}
	})
}

// Events iterates over the transactions that o selects, oldest first, and reads them page by page, up to
// the last one that there is when it comes to it. A Limit bounds how many come in all. The sequence ends
// with the first error.
func (c *Client) Events(ctx context.Context, o HistoryOptions, options ...ReadOption) iter.Seq2[Event, error] {
	return paged(o.Limit, func() func(int) ([]Event, bool, error) {
		o := o
		return func(limit int) ([]Event, bool, error) {
			if o.Limit = limit; o.Last > 0 {
				o.Limit = 0 // the newest are one page
			}
			page, err := c.History(ctx, o, options...)
			if err != nil {
				return nil, false, err
			}
			if page.Next != 0 && page.Next <= o.After {
				return nil, false, fmt.Errorf("tesd: pages go in circles: after revision %d comes %d", o.After, page.Next)
			}
			o.After = page.Next
			return page.Events, page.Next != 0, nil
		}
	})
}

// paged iterates over things that are read page by page, total of them at most unless that is 0. begin
// returns what reads one page after the other, each of limit things at most, and tells if there are more;
// it is called anew for each range over the sequence.
func paged[T any](total int, begin func() (next func(limit int) (things []T, more bool, err error))) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		next := begin()
		for got := 0; ; {
			limit := listPage
			if total > 0 {
				limit = min(limit, total-got)
			}
			things, more, err := next(limit)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, thing := range things {
				if !yield(thing, nil) {
					return
				}
			}
			if got += len(things); !more || got == total {
				return
			}
		}
	}
}
