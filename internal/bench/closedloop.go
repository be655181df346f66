package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A worker is one client of a closed loop: it sends its next request when it has the answer to the last. That of
// an open loop also waits until one is due.
type worker struct {
	id    int
	count int
	rng   *rand.Rand
	urls  []string
	conns []*httpConn // by node, opened when needed
	begin time.Time   // of what is measured
	due   *arrivals   // of an open loop
	aside []span      // what it does that is not to be counted, but looked at for what it does to the others
}

func newWorker(id int, urls []string) *worker {
	return &worker{id: id, rng: rand.New(rand.NewPCG(1, uint64(id))), urls: urls, conns: make([]*httpConn, len(urls))}
}

// do sends a request to a node.
func (w *worker) do(node int, method, path string, body []byte, header ...string) (status int, answer []byte, err error) {
	if w.conns[node] == nil {
		if w.conns[node], err = dialHTTP(w.urls[node]); err != nil {
			return 0, nil, err
		}
	}
	status, answer, err = w.conns[node].do(method, path, body, header...)
	if err != nil {
		w.conns[node].close()
		w.conns[node] = nil
	}
	return status, answer, err
}

// next is the node whose turn it is, of all of them.
func (w *worker) next() int { return (w.id + w.count) % len(w.urls) }

// since is the time from then until now, counted from when what is measured begins.
func (w *worker) since(then time.Time) span {
	return span{int64(then.Sub(w.begin)), int64(time.Since(w.begin))}
}

// errUncounted says that an operation is none of those that are measured.
var errUncounted = errors.New("this is not to be counted")

// An operation is what a worker does again and again. It returns how often it had to try again because
// somebody else was faster.
type operation func(w *worker) (conflicts int, err error)

// A loop is a number of clients for some time.
type loop struct {
	clients          int
	rate             float64 // a second, at which operations come; 0 for when a client has its answer
	warmup, duration time.Duration
}

// A tally is what one client has done.
type tally struct {
	spans             []span // of each operation
	aside             []span
	conflicts, errors int
	err               error // one of them
}

// run has clients carry out an operation, and returns what came of it.
func (l loop) run(ctx context.Context, c *cluster, op operation) ([]figure, error) {
	tallies, before, after, err := l.drive(ctx, c, op)
	if err != nil {
		return nil, err
	}
	figures, err := l.figures(tallies)
	if err != nil {
		return nil, err
	}
	if l.rate > 0 { // what comes later than it was due is not to be counted as if it were done in time
		figures[0] = figure{arrived, "/s", float64(after.done-before.done) / after.at.Sub(before.at).Seconds()}
	}
	return append(figures, spent(before, after)...), nil
}

// drive has clients carry out an operation, and returns what each has done and what was used meanwhile.
func (l loop) drive(ctx context.Context, c *cluster, op operation) (tallies []tally, before, after reading, err error) {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url)
	}
	begin := time.Now().Add(l.warmup)
	end := begin.Add(l.duration)
	tallies = make([]tally, l.clients)
	var done atomic.Int64
	counting := func(w *worker) (int, error) {
		conflicts, err := op(w)
		if err == nil || errors.Is(err, errUncounted) {
			done.Add(1)
		}
		return conflicts, err
	}
	var due *arrivals
	if l.rate > 0 {
		due = arriving(l.rate)
	}
	var group sync.WaitGroup
	for id := range l.clients {
		group.Go(func() {
			w := newWorker(id, urls)
			defer w.close()
			w.begin, w.due = begin, due
			w.repeat(ctx, counting, end, &tallies[id])
			tallies[id].aside = w.aside
		})
	}
	before, err = c.at(ctx, begin, &done)
	if err == nil {
		after, err = c.at(ctx, end, &done) // not when the last client is done: one who waits long may end late
	}
	group.Wait()
	return tallies, before, after, err
}

// A reading is what had been done and used at one time.
type reading struct {
	at     time.Time
	done   int64
	usages []usage // of each node, and last of this process
}

// at waits for a time and reads.
func (c *cluster) at(ctx context.Context, when time.Time, done *atomic.Int64) (reading, error) {
	select {
	case <-time.After(time.Until(when)):
	case <-ctx.Done():
		return reading{}, ctx.Err()
	}
	r := reading{at: time.Now(), done: done.Load()}
	var err error
	r.usages, err = c.usages()
	return r, err
}

// spent is what was used between two readings: by what was done between them, and in their time. The clients
// do as much at one as at the other.
func spent(before, after reading) []figure {
	wall := after.at.Sub(before.at)
	last := len(after.usages) - 1
	used := make([]time.Duration, len(after.usages))
	var all time.Duration
	for i := range used {
		used[i] = after.usages[i].cpu - before.usages[i].cpu
		all += used[i]
	}
	each := 0.0
	if n := after.done - before.done; n > 0 {
		each = float64(all.Microseconds()) / float64(n)
	}
	figures := []figure{{"CPU an operation", "µs", each}}
	for i := range 3 { // also of a system with fewer nodes, so that all have the same figures
		f := figure{fmt.Sprintf("CPU node %d", i+1), "cores", 0}
		if i < last {
			f.Value = used[i].Seconds() / wall.Seconds()
		}
		figures = append(figures, f)
	}
	return append(figures,
		figure{"CPU clients", "cores", used[last].Seconds() / wall.Seconds()},
		figure{"RSS node 1", "MiB", float64(after.usages[0].rss) / (1 << 20)},
	)
}

// repeat carries out an operation again and again, and notes what was begun between the time when what is measured begins and end.
func (w *worker) repeat(ctx context.Context, op operation, end time.Time, t *tally) {
	for ctx.Err() == nil {
		sent := time.Now()
		if w.due != nil {
			sent = w.due.take()
		}
		if sent.After(end) {
			return
		}
		time.Sleep(time.Until(sent))
		w.count++
		conflicts, err := op(w)
		if sent.Before(w.begin) || errors.Is(err, errUncounted) {
			continue
		}
		t.conflicts += conflicts
		if err != nil {
			t.errors, t.err = t.errors+1, err
			continue
		}
		t.spans = append(t.spans, w.since(sent))
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
	var all, aside []span
	var sum tally
	for _, t := range tallies {
		all, aside = append(all, t.spans...), append(aside, t.aside...)
		sum.conflicts, sum.errors, sum.err = sum.conflicts+t.conflicts, sum.errors+t.errors, cmp.Or(sum.err, t.err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("nothing was done: %w", sum.err)
	}
	took := lengths(all)
	figures := []figure{
		{throughput, "", float64(len(all)) / l.duration.Seconds()},
		{typical, "ms", ms(percentile(took, 50))},
		{rare, "ms", ms(percentile(took, 99))},
		{"max", "ms", ms(percentile(took, 100))},
		{failures, "", float64(sum.errors)},
		{"conflicts", "", float64(sum.conflicts)},
	}
	// Of all operations, those that a few stalls concern are too few to be seen at their p99.
	if beside, _ := split(all, aside); len(beside) > 0 {
		figures = append(figures,
			figure{"beside a wide one", "", float64(len(beside))},
			figure{rareBeside, "ms", ms(percentile(beside, 99))},
			figure{"max beside a wide one", "ms", ms(percentile(beside, 100))},
		)
	}
	return figures, nil
}
