package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// A load is what a run puts on a cluster.
type load struct {
	watchers    int
	connections int // that the watchers share, where a connection can have many; 0 is one each
	rate        int // writes a second
	workers     int // writes that may be under way at once
	warmup      time.Duration
	duration    time.Duration
	drain       time.Duration // how long to wait for the last message
	follower    bool          // watch a follower
	slow        int           // further watchers, who read nothing
}

// errLagging says that not every message was delivered.
var errLagging = errors.New("messages are missing")

// A sample is all that a run saw.
type sample struct {
	written  *written
	watchers []*watcher
	from     int64 // the time at which what is measured begins
	wall     time.Duration
	nodes    []usage // of each node, between then and the last message
	client   usage
	expected int64
}

// measure runs a load on a fresh cluster. If messages are missing it returns the sample all
// the same, with errLagging.
func measure(ctx context.Context, s *system, l load, dir string) (*sample, error) {
	c, err := s.start(ctx, dir, nodeOptions{watchers: l.watchers + l.slow, follower: l.follower})
	if err != nil {
		return nil, err
	}
	defer c.stop()
	base, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	room := int((l.warmup+l.duration).Seconds()+1) * l.rate
	watchers, err := c.watch(ctx, l.watchers, l.connections, base, room)
	if err != nil {
		return nil, err
	}
	stalled, err := c.stall(ctx, l.slow)
	if err != nil {
		return nil, errors.Join(err, closeAll(watchers))
	}
	defer stalled()
	m, err := c.load(ctx, l, base, watchers)
	// Every reader has ended before what it noted is read.
	return m, errors.Join(err, closeAll(watchers), c.alive())
}

// load has the writer write and waits for the watchers.
func (c *cluster) load(ctx context.Context, l load, base int64, watchers []*watcher) (*sample, error) {
	w, err := startWriter(ctx, writing{c.system, c.leader.url, l.rate, l.workers, l.warmup + l.duration})
	if err != nil {
		return nil, err
	}
	if err := w.begin(); err != nil {
		w.stop()
		return nil, err
	}
	m := &sample{watchers: watchers}
	select {
	case <-time.After(l.warmup):
	case <-ctx.Done():
		w.stop()
		return nil, ctx.Err()
	}
	begun := time.Now()
	before, err := c.usages()
	if err != nil {
		w.stop()
		return nil, err
	}
	if m.written, err = w.result(); err != nil {
		return nil, err
	}
	m.from = m.written.Start + int64(l.warmup)
	newest, err := c.current(ctx)
	if err != nil {
		return nil, err
	}
	m.expected = (newest - base) * int64(len(watchers))
	lagging := awaitAll(ctx, watchers, newest-base, l.drain)
	after, err := c.usages()
	if err != nil {
		return nil, err
	}
	m.wall = time.Since(begun)
	for i := range before {
		m.nodes = append(m.nodes, usage{after[i].cpu - before[i].cpu, after[i].user - before[i].user, after[i].system - before[i].system, after[i].rss})
	}
	m.client, m.nodes = m.nodes[len(c.nodes)], m.nodes[:len(c.nodes)]
	return m, lagging
}

// awaitAll waits until each watcher has received count messages.
func awaitAll(ctx context.Context, watchers []*watcher, count int64, limit time.Duration) error {
	return poll(ctx, limit, func(context.Context) error {
		sum, fewest := received(watchers)
		if fewest >= count {
			return nil
		}
		return fmt.Errorf("%w: %d of %d came", errLagging, sum, count*int64(len(watchers)))
	})
}

// usages reads what each node has used, and last what this process has.
func (c *cluster) usages() ([]usage, error) {
	var all []usage
	for _, n := range c.nodes {
		u, err := n.process.usage()
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	u, err := usageOf(os.Getpid())
	return append(all, u), err
}

// latencies returns how long messages took from the acknowledgement of their write, and from
// its sending, both sorted. One that came before the acknowledgement took no time.
func (m *sample) latencies() (fromCommit, fromSend []int64) {
	room := len(m.written.Writes) * len(m.watchers)
	fromCommit, fromSend = make([]int64, 0, room), make([]int64, 0, room)
	for _, w := range m.watchers {
		for _, one := range m.written.Writes {
			i := one.Revision - w.base - 1
			if one.Sent < m.from || i < 0 || i >= int64(len(w.at)) {
				continue
			}
			fromCommit = append(fromCommit, max(0, w.at[i]-one.Acked))
			fromSend = append(fromSend, w.at[i]-one.Sent)
		}
	}
	slices.Sort(fromCommit)
	slices.Sort(fromSend)
	return fromCommit, fromSend
}

// rate returns how many writes a second were acknowledged, and how long one took at the
// 50th and the 99th percentile.
func (m *sample) rate() (held float64, p50, p99 time.Duration) {
	var took []int64
	last := m.from
	for _, w := range m.written.Writes {
		if w.Sent < m.from {
			continue
		}
		took = append(took, w.Acked-w.Sent)
		last = max(last, w.Acked)
	}
	if last == m.from {
		return 0, 0, 0
	}
	slices.Sort(took)
	return float64(len(took)) / time.Duration(last-m.from).Seconds(), time.Duration(percentile(took, 50)), time.Duration(percentile(took, 99))
}

// Names of figures that are also looked up.
const (
	rateHeld  = "rate held"
	missing   = "messages missing"
	commitP99 = "p99 from commit"
	perSecond = "messages/s"
	wallTime  = "wall time"
)

// figures are what is reported of a run.
func (m *sample) figures() []figure {
	fromCommit, fromSend := m.latencies()
	rate, writeP50, writeP99 := m.rate()
	sum, _ := received(m.watchers)
	f := []figure{
		{rateHeld, "writes/s", rate},
		{missing, "", float64(m.expected - sum)},
		{commitP99, "ms", ms(percentile(fromCommit, 99))},
		{"p50 from commit", "ms", ms(percentile(fromCommit, 50))},
		{"max from commit", "ms", ms(percentile(fromCommit, 100))},
		{"p50 from send", "ms", ms(percentile(fromSend, 50))},
		{"p99 from send", "ms", ms(percentile(fromSend, 99))},
		{"max from send", "ms", ms(percentile(fromSend, 100))},
		{"write p50", "ms", ms(int64(writeP50))},
		{"write p99", "ms", ms(int64(writeP99))},
		{"write errors", "", float64(m.written.Errors)},
		{"messages delivered", "", float64(sum)},
		{"messages expected", "", float64(m.expected)},
		{perSecond, "", float64(len(fromCommit)) / m.wall.Seconds()},
		{wallTime, "s", m.wall.Seconds()},
	}
	for i, u := range m.nodes {
		name := fmt.Sprintf("CPU other node %d", i)
		if i == 0 {
			f = append(f, figure{"CPU watched, user", "s", u.user.Seconds()}, figure{"CPU watched, system", "s", u.system.Seconds()})
			name = "CPU watched"
		}
		f = append(f, figure{name, "s", u.cpu.Seconds()})
	}
	const mib = 1 << 20
	return append(f,
		figure{"CPU watching client", "s", m.client.cpu.Seconds()},
		figure{"CPU writer", "s", m.written.CPU.Seconds()},
		figure{"RSS watched", "MiB", float64(m.nodes[0].rss) / mib},
	)
}

func ms(nanoseconds int64) float64 { return float64(nanoseconds) / float64(time.Millisecond) }
