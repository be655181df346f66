package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// growthOptions are the flags of the benchmark.
type growthOptions struct {
	transactions int
	clients      int
	json         string
	dir          string
	root         string
}

func parseGrowth(args []string) (*growthOptions, error) {
	var o growthOptions
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&o.transactions, "transactions", 1_000_000, "")
	f.IntVar(&o.clients, "clients", 64, "")
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.dir, "dir", "", "")
	f.StringVar(&o.root, "root", ".", "")
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%w: unknown argument %q", errUsage, f.Arg(0))
	}
	if o.transactions < 1 || o.clients < 1 {
		return nil, fmt.Errorf("%w: a number is too small", errUsage)
	}
	return &o, nil
}

// runGrowth is the benchmark of a history that grows: what a transaction takes in memory, what snapshots do
// to the bumps beside them, and how long a restart takes with all of it.
func runGrowth(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseGrowth(args)
	if err != nil {
		return err
	}
	dir, ours, _, end, err := setUp(ctx, o.dir, o.root, "", true)
	if err != nil {
		return err
	}
	defer end()
	c, err := ours.start(ctx, dir, nodeOptions{entities: spread})
	if err != nil {
		return err
	}
	defer c.stop()
	place, err := environment(dir, ours)
	if err != nil {
		return err
	}
	r := &report{Benchmark: "growth", Environment: place, Settings: map[string]string{
		"transactions": fmt.Sprint(o.transactions), "clients": fmt.Sprint(o.clients),
	}}
	figures, err := o.grow(ctx, c, out)
	if err != nil {
		return err
	}
	r.Results = []result{{Name: "tesd", Median: figures, Runs: [][]figure{figures}}}
	if err := r.print(out); err != nil {
		return err
	}
	for _, t := range []target{
		{memoryEach, "tesd", "", false, 100}, {restartTime, "tesd", "", false, 5}, {besideSnapshots, "tesd", "", false, 2},
	} {
		r.Targets = append(r.Targets, t.judge(r.Results))
		fmt.Fprintln(out, r.Targets[len(r.Targets)-1])
	}
	return r.save(o.json)
}

// Names of figures that targets are about.
const (
	memoryEach      = "memory each"
	restartTime     = "restart to ready"
	besideSnapshots = "p99 beside snapshots / else"
)

// grow writes the history and measures.
func (o *growthOptions) grow(ctx context.Context, c *cluster, out io.Writer) ([]figure, error) {
	before, err := heapOf(c)
	if err != nil {
		return nil, err
	}
	watch := watchSnapshots(c)
	begun := time.Now()
	bumps, err := o.fill(ctx, c)
	took := time.Since(begun)
	snapshots := watch.stop()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%d bumps in %v, %d snapshots meanwhile\n", len(bumps), took.Round(time.Millisecond), len(snapshots))
	beside, apart := split(bumps, snapshots)
	full, err := heapOf(c)
	if err != nil {
		return nil, err
	}
	usages, err := c.usages()
	if err != nil {
		return nil, err
	}
	ready, err := restartAll(ctx, c)
	if err != nil {
		return nil, err
	}
	return []figure{
		{throughput, "", float64(len(bumps)) / took.Seconds()},
		{memoryEach, "bytes", (full - before) / float64(len(bumps))},
		{"live heap", "MiB", full / (1 << 20)},
		{"RSS node 1", "MiB", float64(usages[0].rss) / (1 << 20)},
		{"snapshots", "", float64(len(snapshots))},
		{"bumps beside them", "", float64(len(beside))},
		{"p99 beside them", "ms", ms(percentile(beside, 99))},
		{"p99 else", "ms", ms(percentile(apart, 99))},
		{besideSnapshots, "", float64(percentile(beside, 99)) / float64(max(1, percentile(apart, 99)))},
		{restartTime, "s", ready.Seconds()},
	}, nil
}

// fill bumps through all nodes until there are so many transactions, and returns when each bump was under way.
func (o *growthOptions) fill(ctx context.Context, c *cluster) ([]span, error) {
	var urls []string
	for _, n := range c.nodes {
		urls = append(urls, n.url)
	}
	op, err := bumps(spread, false)(c)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var left atomic.Int64
	left.Store(int64(o.transactions))
	all := make([][]span, o.clients)
	var group sync.WaitGroup
	for id := range o.clients {
		group.Go(func() {
			w := newWorker(id, urls)
			defer w.close()
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				w.count++
				sent := time.Now().UnixNano()
				if _, err := op(w); err != nil {
					stop(err)
					return
				}
				all[id] = append(all[id], span{sent, time.Now().UnixNano()})
			}
		})
	}
	group.Wait()
	return slices.Concat(all...), context.Cause(ctx)
}

// A snapshotWatch notes when a node of a cluster writes a snapshot.
type snapshotWatch struct {
	end   chan struct{}
	spans chan []span
}

// watchSnapshots looks for snapshots that are being written, every few milliseconds.
func watchSnapshots(c *cluster) *snapshotWatch {
	w := &snapshotWatch{make(chan struct{}), make(chan []span, 1)}
	go func() {
		var spans []span
		open := false
		for {
			now := time.Now().UnixNano()
			found, _ := filepath.Glob(filepath.Join(c.dir, "n*", "snapshots", "*.tmp")) // the pattern is sound
			switch {
			case len(found) > 0 && !open:
				spans = append(spans, span{now, now})
			case open:
				spans[len(spans)-1].to = now
			}
			open = len(found) > 0
			select {
			case <-w.end:
				w.spans <- spans
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return w
}

// stop ends the watch and returns when snapshots were written.
func (w *snapshotWatch) stop() []span {
	close(w.end)
	return <-w.spans
}

// heapOf returns what is alive on the first node's heap, in bytes, as its collector saw it last.
func heapOf(c *cluster) (float64, error) {
	values, err := scrape(c.nodes[0].url, "go_memstats_next_gc_bytes", "go_gc_gogc_percent")
	if err != nil {
		return 0, err
	}
	return values[0] / (1 + values[1]/100), nil
}

// restartAll ends all nodes at once, starts them again, and returns how long it took until all were ready.
func restartAll(ctx context.Context, c *cluster) (time.Duration, error) {
	for _, n := range c.nodes {
		n.process.stop()
	}
	begun := time.Now()
	for _, n := range c.nodes {
		p, err := n.process.again(c.dir)
		if err != nil {
			return 0, err
		}
		n.process = p
	}
	err := poll(ctx, time.Minute, func(context.Context) error {
		for _, n := range c.nodes {
			resp, err := http.Get(n.url + "/readyz")
			if err != nil {
				return fmt.Errorf("asking whether %s is ready: %w", n.id, err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s is not ready", n.id)
			}
		}
		return nil
	})
	return time.Since(begun), err
}
