package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
)

// saturateAll finds for each system the rate of writes at which its watchers are left
// behind.
func (o *watchOptions) saturateAll(ctx context.Context, systems []*system, dir string, r *report, out io.Writer) error {
	r.Settings = o.settings()
	r.Settings["rate"] = fmt.Sprintf("from %d, doubled", o.rate)
	for _, s := range systems {
		steps, why, err := o.saturateOne(ctx, s, dir, out)
		r.Results = append(r.Results, result{Name: s.name, Median: best(steps), Runs: steps, Ended: why})
		if err != nil {
			return err
		}
		printSteps(out, s.name, steps, why)
	}
	return nil
}

// saturateOne doubles the rate, each step on a fresh cluster, until a step says why it is
// too high. The last step is that one.
func (o *watchOptions) saturateOne(ctx context.Context, s *system, dir string, out io.Writer) (steps [][]figure, why string, err error) {
	const highest = 1 << 16
	for l := o.load; l.rate <= highest; l.rate *= 2 {
		m, err := measure(ctx, s, l, dir)
		if err != nil && (m == nil || !errors.Is(err, errLagging)) {
			return steps, "", err
		}
		f := append([]figure{{"rate wanted", "writes/s", float64(l.rate)}}, m.figures()...)
		steps = append(steps, f)
		fmt.Fprintf(out, "%s: %s\n", s.name, brief(f))
		if why := behind(f, l.rate); why != "" {
			return steps, why, nil
		}
	}
	return steps, "the highest rate was reached", nil
}

// behind says in what a step was not kept up with, "" if in nothing.
func behind(step []figure, wanted int) string {
	switch {
	case valueOf(step, missing) != 0:
		return "messages were missing after the wait for the last"
	case valueOf(step, commitP99) > 1000:
		return "p99 from commit is above 1 s"
	case valueOf(step, rateHeld) < 0.9*float64(wanted):
		return "the rate was not held" + bound(step)
	}
	return ""
}

// bound says what the processor times of a step tell of why it was too much.
func bound(step []figure) string {
	var busy float64
	for _, name := range []string{"CPU watched", "CPU other node 1", "CPU other node 2", "CPU watching client", "CPU writer"} {
		busy += valueOf(step, name)
	}
	busy /= valueOf(step, wallTime)
	cores := runtime.NumCPU()
	if busy > 0.9*float64(cores) {
		return fmt.Sprintf(": the processors are the bound, with %.2f cores of %d in use", busy, cores)
	}
	return fmt.Sprintf(": commits, or whatever else this machine does, are the bound, with %.2f cores of %d in use", busy, cores)
}

// best returns the step that delivered most.
func best(steps [][]figure) []figure {
	var most []figure
	for _, s := range steps {
		if most == nil || valueOf(s, perSecond) > valueOf(most, perSecond) {
			most = s
		}
	}
	return most
}

// printSteps prints what says where the processor time goes, in cores.
func printSteps(out io.Writer, name string, steps [][]figure, why string) {
	fmt.Fprintf(out, "\n%s, ended since %s\n", name, why)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "wanted/s\theld/s\tmessages/s\tp99 ms\twatched, cores\tof it system\tothers\tclient\twriter\t")
	for _, s := range steps {
		wall := valueOf(s, wallTime)
		cores := func(names ...string) string {
			var sum float64
			for _, n := range names {
				sum += valueOf(s, n)
			}
			return fmt.Sprintf("%.2f", sum/wall)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", number(valueOf(s, "rate wanted")), number(valueOf(s, rateHeld)),
			number(valueOf(s, perSecond)), number(valueOf(s, commitP99)), cores("CPU watched"), cores("CPU watched, system"),
			cores("CPU other node 1", "CPU other node 2"), cores("CPU watching client"), cores("CPU writer"))
	}
	_ = t.Flush()
}
