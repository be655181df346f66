package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// holdIdle opens watchers in steps until the watched node's memory reaches the limit, or a
// step fails or takes too long. At the end one write must reach them all: a watcher that is held but not
// served would not count.
func (o *watchOptions) holdIdle(ctx context.Context, s *system, dir string, r *report, out io.Writer) error {
	const most = 250 * watchersPerAddress // as many as there are addresses for
	c, err := s.start(ctx, dir, nodeOptions{most, o.follower})
	if err != nil {
		return err
	}
	defer c.stop()
	base, err := c.current(ctx)
	if err != nil {
		return err
	}
	empty, err := c.nodes[0].process.usage()
	if err != nil {
		return err
	}
	limit := int64(o.memory) << 20
	r.Settings = map[string]string{"step": fmt.Sprint(o.step), "memory": fmt.Sprintf("%d MiB", o.memory)}
	var watchers []*watcher
	var held int
	var rss int64
	bound := "memory"
	for rss = empty.rss; ; {
		step, cancel := context.WithTimeout(ctx, 2*time.Minute)
		more, err := c.watchMore(step, len(watchers), o.step, base)
		cancel()
		watchers = append(watchers, more...)
		if err != nil {
			bound = err.Error()
			break
		}
		now, err := c.settled(ctx, limit)
		if err != nil {
			bound = err.Error()
			break
		}
		fmt.Fprintf(out, "%d watchers: %d MiB\n", len(watchers), now>>20)
		if now >= limit {
			break
		}
		held, rss = len(watchers), now
	}
	figures := []figure{
		{"watchers held", "", float64(held)},
		{"RSS without", "MiB", float64(empty.rss) / (1 << 20)},
		{"RSS with them", "MiB", float64(rss) / (1 << 20)},
		{"bytes per watcher", "", float64(rss-empty.rss) / float64(max(held, 1))},
	}
	reached, err := c.reach(ctx, watchers, base)
	figures = append(figures, figure{"all watchers", "", float64(len(watchers))}, reached)
	if ended := closeAll(watchers); err == nil {
		err = ended
	}
	r.Results = []result{{Name: s.name, Median: figures, Runs: [][]figure{figures}, Ended: bound}}
	fmt.Fprintf(out, "bound by: %s\n", bound)
	if printed := r.print(out); err == nil {
		err = printed
	}
	return err
}

// watchMore opens count watchers after the first so many.
func (c *cluster) watchMore(ctx context.Context, first, count int, base int64) ([]*watcher, error) {
	return openAll(ctx, count, func(ctx context.Context, i int) (*watcher, error) {
		return watchTesd(ctx, c.nodes[0].url, first+i, base, 1)
	})
}

// settled waits until the watched node's memory has stopped growing by more than a
// hundredth of the limit a second, and returns it.
func (c *cluster) settled(ctx context.Context, limit int64) (int64, error) {
	last := int64(0)
	for range 10 {
		if err := c.alive(); err != nil {
			return 0, err
		}
		u, err := c.nodes[0].process.usage()
		if err != nil || u.rss-last < limit/100 {
			return u.rss, err
		}
		last = u.rss
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return last, nil
}

// reach writes once and measures how long it takes until all watchers have it.
func (c *cluster) reach(ctx context.Context, watchers []*watcher, base int64) (figure, error) {
	begun := time.Now()
	if _, err := tesdBumper(c.leader.url, 1)(ctx); err != nil {
		return figure{}, err
	}
	err := awaitAll(ctx, watchers, 1, 60*time.Second)
	return figure{"one write reaches all", "ms", ms(int64(time.Since(begun)))}, err
}
