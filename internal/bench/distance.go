package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"github.com/tesd/tesd/internal/lan"
)

// distanceOptions are the flags of the benchmark.
type distanceOptions struct {
	loop
	trips  []time.Duration // the base, 0, first
	rounds int
	json   string
	dir    string
	root   string
}

func parseDistance(args []string) (*distanceOptions, error) {
	var o distanceOptions
	var trips string
	f := flag.NewFlagSet("distance", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&trips, "round-trips", "1ms,10ms,50ms", "")
	f.IntVar(&o.rounds, "rounds", 3, "")
	f.DurationVar(&o.warmup, "warmup", 200*time.Millisecond, "")
	f.DurationVar(&o.duration, "duration", time.Second, "")
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
	o.trips = []time.Duration{0}
	for text := range strings.SplitSeq(trips, ",") {
		trip, err := time.ParseDuration(text)
		if err != nil || trip < 0 || trip > 2*time.Second {
			return nil, fmt.Errorf("%w: round trip %q is not from 0s to 2s", errUsage, text)
		}
		if !slices.Contains(o.trips, trip) {
			o.trips = append(o.trips, trip)
		}
	}
	return &o, nil
}

// runDistance is the benchmark of nodes at a distance.
func runDistance(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseDistance(args)
	if err != nil {
		return err
	}
	probe, err := lan.Start(1) // rather than fail after a build
	if err != nil {
		return err
	}
	probe.Close()
	dir, ours, _, end, err := setUp(ctx, o.dir, o.root, "", true)
	if err != nil {
		return err
	}
	defer end()
	binary := filepath.Join(dir, "tesd")
	var contestants []contestant
	for _, trip := range o.trips {
		contestants = append(contestants, contestant{trip.String(), func(ctx context.Context) ([]figure, error) {
			return o.visit(ctx, binary, dir, trip, out)
		}})
	}
	place, err := environment(dir, ours)
	if err != nil {
		return err
	}
	r := &report{Benchmark: "distance", Environment: place, Settings: map[string]string{
		"rounds": fmt.Sprint(o.rounds), "warm-up": o.warmup.String(), "duration": o.duration.String(),
	}}
	// Too far away there is no lasting leader. What was measured at less is shown all the same.
	r.Results, err = alternate(ctx, o.rounds, contestants, out)
	return errors.Join(err, compareModel(out, r), r.save(o.json))
}

// visit measures everything on a fresh cluster whose nodes are a round trip away from each other.
func (o *distanceOptions) visit(ctx context.Context, binary, dir string, trip time.Duration, out io.Writer) ([]figure, error) {
	s, err := startSite(ctx, binary, dir, trip/2)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	figures, err := o.surroundings(ctx, s)
	if err != nil {
		return nil, err
	}
	term, err := s.term(ctx)
	if err != nil {
		return nil, err
	}
	loads, err := o.loads(ctx, s, trip, out)
	if err != nil {
		return nil, err
	}
	took, late, err := s.push(ctx, trip, max(3*o.duration, 60*trip))
	if err != nil {
		return nil, err
	}
	after, err := s.term(ctx)
	if err != nil {
		return nil, err
	}
	if err := poll(ctx, 30*time.Second, s.findLeader); err != nil { // under load another may have taken over
		return nil, err
	}
	gap, err := s.failover(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Concat(figures, loads, []figure{
		{singleBump, "ms", ms(percentile(took, 50))},
		{pushed, "ms", ms(percentile(late, 50))},
		{leaderless, "ms", ms(int64(gap))},
		{"new terms under load", "", float64(after - term)},
	}), nil
}

// surroundings measures what the model is made of: the round trip, and a write of the log.
func (o *distanceOptions) surroundings(ctx context.Context, s *site) ([]figure, error) {
	trip, err := measureTrip(ctx, s.lan.Machines[0], s.lan.Machines[1])
	if err != nil {
		return nil, err
	}
	store, err := raftboltdb.NewBoltStore(filepath.Join(s.dir, "measured.db"))
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	defer store.Close()
	var took []int64
	for i := range 50 {
		begun := time.Now()
		if err := store.StoreLog(&raft.Log{Index: uint64(i + 1), Term: 1, Data: make([]byte, 256)}); err != nil {
			return nil, fmt.Errorf("writing a log: %w", err)
		}
		took = append(took, int64(time.Since(begun)))
	}
	slices.Sort(took)
	return []figure{{roundTrip, "ms", ms(int64(trip))}, {logWrite, "ms", ms(percentile(took, 50))}}, nil
}

// loads measures closed loops of clients, each for twenty round trips at least.
func (o *distanceOptions) loads(ctx context.Context, s *site, trip time.Duration, out io.Writer) ([]figure, error) {
	var all []figure
	errors := 0.0
	for _, load := range []struct {
		name    string
		clients int
		op      operation
		rate    bool
		tail    bool
	}{
		{staleRead, 1, s.ask(ctx, []int{1}, read("?consistency=stale")), false, false},
		{leaderRead, 1, s.ask(ctx, []int{0}, read("")), false, false},
		{followerRead, 1, s.ask(ctx, []int{1}, read("")), false, false},
		{leaderBump, 1, s.ask(ctx, []int{0}, bump), false, true},
		{followerBump, 1, s.ask(ctx, []int{1}, bump), false, true},
		{leaderBumps, 64, s.ask(ctx, []int{0}, bump), true, false},
		{allBumps, 64, s.ask(ctx, []int{0, 1, 2}, bump), true, false},
	} {
		l := o.loop
		l.clients, l.duration = load.clients, max(o.duration, 20*trip)
		var failed atomic.Pointer[error]
		figures, err := l.run(ctx, s.cluster, func(w *worker) (int, error) {
			conflicts, err := load.op(w)
			if err != nil {
				failed.Store(&err)
			}
			return conflicts, err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", load.name, err)
		}
		if one := failed.Load(); one != nil {
			fmt.Fprintf(out, "%s, %v: one of the errors: %v\n", load.name, trip, *one)
		}
		if load.rate {
			all = append(all, figure{load.name + ", rate", "/s", valueOf(figures, throughput)})
		}
		all = append(all, figure{load.name, "ms", valueOf(figures, typical)})
		if load.tail {
			all = append(all, figure{load.name + ", p99", "ms", valueOf(figures, "p99")})
		}
		errors += valueOf(figures, "errors")
	}
	return append(all, figure{"errors", "", errors}), nil
}
