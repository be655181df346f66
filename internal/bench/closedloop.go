package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A worker is one client of a closed loop: it sends its next request when it has the answer to the last.
type worker struct {
	id    int
	count int
	rng   *rand.Rand
	urls  []string
	conns []*httpConn // by node, opened when needed
}

func newWorker(id int, urls []string) *worker {
	return &worker{id: id, rng: rand.New(rand.NewPCG(1, uint64(id))), urls: urls, conns: make([]*httpConn, len(urls))}
}

// do sends a request to a node.
func (w *worker) do(node int, method, path string, body []byte) (status int, answer []byte, err error) {
	if w.conns[node] == nil {
		if w.conns[node], err = dialHTTP(w.urls[node]); err != nil {
			return 0, nil, err
		}
	}
	status, answer, err = w.conns[node].do(method, path, body)
	if err != nil {
		w.conns[node].close()
		w.conns[node] = nil
	}
	return status, answer, err
}

// next is the node whose turn it is, of all of them.
func (w *worker) next() int { return (w.id + w.count) % len(w.urls) }

// errUncounted says that an operation is none of those that are measured.
var errUncounted = errors.New("this is not to be counted")

// An operation is what a worker does again and again. It returns how often it had to try again because
// somebody else was faster.
type operation func(w *worker) (conflicts int, err error)

// A loop is a number of clients for some time.
type loop struct {
	clients          int
	warmup, duration time.Duration
}

// A tally is what one client has done.
type tally struct {
	took              []int64 // nanoseconds
	conflicts, errors int
	err               error // one of them
}

// run has clients carry out an operation, and returns what came of it.
func (l loop) run(ctx context.Context, c *cluster, op operation) ([]figure, error) {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url)
	}
	begin := time.Now().Add(l.warmup)
	tallies := make([]tally, l.clients)
	var group sync.WaitGroup
	for id := range l.clients {
		group.Go(func() {
			w := newWorker(id, urls)
			defer w.close()
			w.repeat(ctx, op, begin, begin.Add(l.duration), &tallies[id])
		})
	}
	select {
	case <-time.After(time.Until(begin)):
	case <-ctx.Done():
	}
	before, err := c.usages()
	group.Wait()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	after, err := c.usages()
	if err != nil {
		return nil, err
	}
	figures, err := l.figures(tallies)
	if err != nil {
		return nil, err
	}
	var all time.Duration
	for i := range after {
		after[i].cpu -= before[i].cpu
		all += after[i].cpu
	}
	figures = append(figures, figure{"CPU an operation", "µs", float64(all.Microseconds()) / (valueOf(figures, throughput) * l.duration.Seconds())})
	cores := func(i int) float64 { return after[i].cpu.Seconds() / l.duration.Seconds() }
	for i := range 3 { // also of a system with fewer nodes, so that all have the same figures
		f := figure{fmt.Sprintf("CPU node %d", i+1), "cores", 0}
		if i < len(c.nodes) {
			f.Value = cores(i)
		}
		figures = append(figures, f)
	}
	return append(figures,
		figure{"CPU clients", "cores", cores(len(c.nodes))},
		figure{"RSS node 1", "MiB", float64(after[0].rss) / (1 << 20)},
	), nil
}

// repeat carries out an operation again and again, and notes what was begun between two times.
func (w *worker) repeat(ctx context.Context, op operation, begin, end time.Time, t *tally) {
	for ctx.Err() == nil {
		sent := time.Now()
		if sent.After(end) {
			return
		}
		w.count++
		conflicts, err := op(w)
		if sent.Before(begin) || errors.Is(err, errUncounted) {
			continue
		}
		t.conflicts += conflicts
		if err != nil {
			t.errors, t.err = t.errors+1, err
			continue
		}
		t.took = append(t.took, int64(time.Since(sent)))
	}
}

func (w *worker) close() {
	for _, c := range w.conns {
		if c != nil {
			c.close()
		}
	}
}

// figures sums up what the clients have done.
func (l loop) figures(tallies []tally) ([]figure, error) {
	var all []int64
	var sum tally
	for _, t := range tallies {
		all = append(all, t.took...)
		sum.conflicts, sum.errors, sum.err = sum.conflicts+t.conflicts, sum.errors+t.errors, cmp.Or(sum.err, t.err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing was done: %w", sum.err)
	}
	slices.Sort(all)
	return []figure{
		{throughput, "", float64(len(all)) / l.duration.Seconds()},
		{typical, "ms", ms(percentile(all, 50))},
		{rare, "ms", ms(percentile(all, 99))},
		{"max", "ms", ms(percentile(all, 100))},
		{failures, "", float64(sum.errors)},
		{"conflicts", "", float64(sum.conflicts)},
	}, nil
}
