package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A scenario is one load, the systems that are put under it in turn, and what is wanted of them.
type scenario struct {
	name, about string
	clients     int
	options     nodeOptions
	contestants []rival
	targets     []target
}

// A rival is a system under a scenario's load.
type rival struct {
	name    string
	system  *system
	prepare func(c *cluster) (operation, error)
	clients int     // 0 for as many as the scenario has
	rate    float64 // of a loop
}

// on is a system under the load of as many clients as the scenario has.
func on(name string, s *system, prepare func(*cluster) (operation, error)) rival {
	return rival{name: name, system: s, prepare: prepare}
}

// by is the same under the load of another number of clients.
func (r rival) by(clients int) rival {
	r.clients = clients
	return r
}

// at is the same with operations that come so often a second, whether those before them are answered or not.
func (r rival) at(rate float64) rival {
	r.rate = rate
	return r
}

// loadOptions are the flags of the benchmark.
type loadOptions struct {
	loop
	only   []string
	rounds int
	noPeer bool
	etcd   string
	json   string
	dir    string
	root   string
}

func parseLoad(args []string) (*loadOptions, error) {
	var o loadOptions
	var only string
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&only, "only", "", "")
	f.IntVar(&o.rounds, "rounds", 5, "")
	f.DurationVar(&o.warmup, "warmup", time.Second, "")
	f.DurationVar(&o.duration, "duration", 5*time.Second, "")
	f.BoolVar(&o.noPeer, "no-peer", false, "")
	f.StringVar(&o.etcd, "etcd", "etcd", "")
	f.StringVar(&o.json, "json", "", "")
	f.StringVar(&o.dir, "dir", "", "")
	f.StringVar(&o.root, "root", ".", "")
	if err := f.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%w: unknown argument %q", errUsage, f.Arg(0))
	}
	if o.rounds < 1 || o.duration <= 0 || o.warmup < 0 {
		return nil, fmt.Errorf("%w: a number is too small", errUsage)
	}
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	return &o, nil
}

// runLoad is the benchmark of bumps and reads.
func runLoad(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseLoad(args)
	if err != nil {
		return err
	}
	dir, ours, peer, end, err := setUp(ctx, o.dir, o.root, o.etcd, o.noPeer)
	if err != nil {
		return err
	}
	defer end()
	all := scenarios(ours, peer)
	for _, name := range o.only {
		if !slices.ContainsFunc(all, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("%w: there is no scenario %q", errUsage, name)
		}
	}
	var reports []*report
	for _, s := range all {
		if o.only != nil && !slices.Contains(o.only, s.name) {
			continue
		}
		r, err := o.measure(ctx, s, dir, out)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", s.name, err), saveAll(o.json, reports))
		}
		reports = append(reports, r)
	}
	return saveAll(o.json, reports)
}

// measure runs one scenario and prints what came of it.
func (o *loadOptions) measure(ctx context.Context, s scenario, dir string, out io.Writer) (*report, error) {
	fmt.Fprintf(out, "\n%s: %s\n", s.name, s.about)
	l := o.loop
	l.clients = s.clients
	var contestants []contestant
	var systems []*system
	for _, r := range s.contestants {
		if !slices.ContainsFunc(systems, func(o *system) bool { return o.name == r.system.name }) {
			systems = append(systems, r.system)
		}
		contestants = append(contestants, contestant{r.name, steady(r.name, out, func(ctx context.Context) ([]figure, error) {
			return r.run(ctx, l, s.options, dir)
		})})
	}
	place, err := environment(dir, systems...)
	if err != nil {
		return nil, err
	}
	r := &report{Benchmark: s.name, Environment: place, Settings: map[string]string{
		"clients": fmt.Sprint(s.clients), "rounds": fmt.Sprint(o.rounds), "warm-up": o.warmup.String(), "duration": o.duration.String(),
	}}
	if r.Results, err = alternate(ctx, o.rounds, contestants, out); err != nil {
		return nil, err
	}
	if err := r.print(out); err != nil {
		return nil, err
	}
	for _, t := range s.targets {
		r.Targets = append(r.Targets, t.judge(r.Results))
		fmt.Fprintln(out, r.Targets[len(r.Targets)-1])
	}
	return r, nil
}

// run puts a system under its load once, with fresh nodes.
func (r rival) run(ctx context.Context, l loop, o nodeOptions, dir string) ([]figure, error) {
	c, err := r.system.start(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	op, err := r.prepare(c)
	if err != nil {
		return nil, err
	}
	l.clients, l.rate = cmp.Or(r.clients, l.clients), r.rate
	figures, err := l.run(ctx, c, op)
	if failure := c.alive(); failure != nil {
		return nil, errors.Join(err, failure)
	}
	return figures, errors.Join(err, c.sameLeader(ctx))
}

// steady repeats a run in which the leader changed: what was to be measured at the leader was measured at a follower, or while
// there was none. On a machine where that happens again and again it gives up.
func steady(name string, progress io.Writer, run func(context.Context) ([]figure, error)) func(context.Context) ([]figure, error) {
	const most = 3
	return func(ctx context.Context) (figures []figure, err error) {
		for repeated := range most {
			if figures, err = run(ctx); !errors.Is(err, errMoved) || ctx.Err() != nil {
				return append(figures, figure{"runs that did not count", "", float64(repeated)}), err
			}
			fmt.Fprintf(progress, "%s: the run does not count: %v\n", name, err)
		}
		return nil, fmt.Errorf("%d runs did not count: %w", most, err)
	}
}
