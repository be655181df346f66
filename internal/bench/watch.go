package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// watchOptions are the flags of the benchmark.
type watchOptions struct {
	load
	rounds   int
	noPeer   bool
	etcd     string
	shared   int
	idle     bool
	saturate bool
	step     int
	memory   int
	json     string
	dir      string
	root     string
}

func parseWatch(args []string) (*watchOptions, error) {
	var o watchOptions
	f := flag.NewFlagSet("watch", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.IntVar(&o.watchers, "watchers", 1000, "")
	f.IntVar(&o.rate, "rate", 200, "")
	f.IntVar(&o.workers, "in-flight", 64, "")
	f.DurationVar(&o.warmup, "warmup", 2*time.Second, "")
	f.DurationVar(&o.duration, "duration", 10*time.Second, "")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "")
	f.BoolVar(&o.follower, "follower", false, "")
	f.IntVar(&o.rounds, "rounds", 5, "")
	f.BoolVar(&o.noPeer, "no-peer", false, "")
	f.StringVar(&o.etcd, "etcd", "etcd", "")
	f.IntVar(&o.shared, "shared", 12, "")
	f.IntVar(&o.slow, "slow", 0, "")
	f.BoolVar(&o.idle, "idle", false, "")
	f.BoolVar(&o.saturate, "saturate", false, "")
	f.IntVar(&o.step, "step", 2000, "")
	f.IntVar(&o.memory, "memory", 1024, "")
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.dir, "dir", "", "")
	f.StringVar(&o.root, "root", ".", "")
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("%w: unknown argument %q", errUsage, f.Arg(0))
	case o.idle && o.saturate:
		return nil, fmt.Errorf("%w: --idle and --saturate are two measurements", errUsage)
	case min(o.watchers, o.rate, o.workers, o.rounds, o.step, o.memory) < 1 || min(o.shared, o.slow) < 0 || o.duration <= 0 || min(o.warmup, o.drain) < 0:
		return nil, fmt.Errorf("%w: a number is too small", errUsage)
	}
	return &o, nil
}

// runWatch is the benchmark of push.
func runWatch(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseWatch(args)
	if err != nil {
		return err
	}
	dir, ours, peer, end, err := setUp(ctx, o.dir, o.root, o.etcd, o.noPeer || o.idle)
	if err != nil {
		return err
	}
	defer end()
	systems := []*system{ours}
	if peer != nil {
		systems = append(systems, peer)
	}
	place, err := environment(dir, systems...)
	if err != nil {
		return err
	}
	r := &report{Benchmark: "watch", Environment: place}
	switch {
	case o.idle:
		err = o.holdIdle(ctx, ours, dir, r, out)
	case o.saturate:
		err = o.saturateAll(ctx, systems, dir, r, out)
	default:
		err = o.compare(ctx, systems, dir, r, out)
	}
	return errors.Join(err, r.save(o.json))
}

// settings are what a reader must know of the load.
func (o *watchOptions) settings() map[string]string {
	node := "leader"
	if o.follower {
		node = "follower"
	}
	return map[string]string{
		"watchers": fmt.Sprint(o.watchers), "rate": fmt.Sprint(o.rate), "in flight": fmt.Sprint(o.workers),
		"warm-up": o.warmup.String(), "duration": o.duration.String(), "watched": node,
	}
}

// compare measures the systems in turn under the same load.
func (o *watchOptions) compare(ctx context.Context, systems []*system, dir string, r *report, out io.Writer) error {
	var contestants []contestant
	add := func(name string, s *system, l load) {
		contestants = append(contestants, contestant{name, func(ctx context.Context) ([]figure, error) {
			m, err := measure(ctx, s, l, dir)
			if m != nil && m.written.Errors > 0 {
				fmt.Fprintf(out, "%s: one of %d writes that failed: %s\n", name, m.written.Errors, m.written.Error)
			}
			// What is missing stands among the figures.
			if err != nil && (m == nil || !errors.Is(err, errLagging)) {
				return nil, err
			}
			return m.figures(), nil
		}})
	}
	for _, s := range systems {
		l := o.load
		l.slow = 0
		add(s.name, s, l)
		if s.name == "tesd" && o.slow > 0 {
			add(fmt.Sprintf("tesd, %d slow", o.slow), s, o.load)
		}
		if s.name == "etcd" && o.shared > 0 {
			l := o.load
			l.connections = o.shared
			add(fmt.Sprintf("etcd, %d conns", o.shared), s, l)
		}
	}
	var err error
	r.Settings = o.settings()
	r.Settings["rounds"] = fmt.Sprint(o.rounds)
	if r.Results, err = alternate(ctx, o.rounds, contestants, out); err != nil {
		return err
	}
	return errors.Join(r.print(out), delivered(r.Results))
}

// delivered returns an error if a run missed messages: its latencies are of the others alone.
func delivered(results []result) error {
	for _, c := range results {
		for i, run := range c.Runs {
			if n := valueOf(run, missing); n != 0 {
				return fmt.Errorf("round %d of %s: %w: %s", i+1, c.Name, errLagging, number(n))
			}
		}
	}
	return nil
}

// pairs writes a map in the order of its keys.
func pairs(m map[string]string) string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, k+" "+m[k])
	}
	return strings.Join(parts, ", ")
}
