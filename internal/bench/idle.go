package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// holdIdle opens watchers in steps until the watched node's memory reaches the limit, or
// something else ends it. At the end one write must reach them all: a watcher that is held
// but not served would not count.
func (o *watchOptions) holdIdle(ctx context.Context, s *system, dir string, r *report, out io.Writer) error {
	const most = 250 * watchersPerAddress // as many as there are addresses for
	c, err := s.start(ctx, dir, nodeOptions{watchers: most, follower: o.follower})
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
	r.Settings = map[string]string{"step": fmt.Sprint(o.step), "memory": fmt.Sprintf("%d MiB", o.memory)}
	watchers, held, rss, bound := o.grow(ctx, c, base, out)
	if held == 0 {
		return errors.Join(fmt.Errorf("no step was held: %s", bound), closeAll(watchers))
	}
	const mib = 1 << 20
	each := float64(rss-empty.rss) / float64(held)
	figures := []figure{
		{"watchers held", "", float64(held)},
		{"RSS without", "MiB", float64(empty.rss) / mib},
		{"RSS with them", "MiB", float64(rss) / mib},
		{"memory a watcher", "bytes", each},
		// Only a guess where something else was the bound.
		{"that many fit, by this", "", math.Floor(float64(int64(o.memory)*mib-empty.rss) / each)},
		{"opened in all", "", float64(len(watchers))},
	}
	reached, err := c.reach(ctx, watchers)
	figures = append(figures, reached)
	r.Results = []result{{Name: s.name, Median: figures, Runs: [][]figure{figures}, Ended: bound}}
	fmt.Fprintf(out, "bound by: %s\n", bound)
	return errors.Join(err, closeAll(watchers), r.print(out))
}

// grow opens watchers until it is bound by something, and says by what. held is how many
// there were when the memory was last below the limit, and rss what it was then.
func (o *watchOptions) grow(ctx context.Context, c *cluster, base int64, out io.Writer) (watchers []*watcher, held int, rss int64, bound string) {
	limit := int64(o.memory) << 20
	for {
		// A node that runs out of files cannot write its log either: that would measure a failure.
		const others = 500
		count := min(o.step, fileLimit()-others-len(watchers))
		if count < 1 {
			return watchers, held, rss, fmt.Sprintf("the limit of %d open files a process, which cannot be raised here", fileLimit())
		}
		step, cancel := context.WithTimeout(ctx, 2*time.Minute)
		more, err := c.watchMore(step, len(watchers), count, base)
		cancel()
		if err != nil {
			return watchers, held, rss, err.Error()
		}
		watchers = append(watchers, more...)
		now, err := c.settled(ctx, limit)
		if err != nil {
			return watchers, held, rss, err.Error()
		}
		fmt.Fprintf(out, "%d watchers: %d MiB\n", len(watchers), now>>20)
		if now >= limit {
			return watchers, held, rss, "memory"
		}
		held, rss = len(watchers), now
	}
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
func (c *cluster) reach(ctx context.Context, watchers []*watcher) (figure, error) {
	begun := time.Now()
	if _, err := tesdBumper(c.leader.url, 1)(ctx); err != nil {
		return figure{}, err
	}
	err := awaitAll(ctx, watchers, 1, 60*time.Second)
	return figure{"one write reaches all", "ms", ms(int64(time.Since(begun)))}, err
}
