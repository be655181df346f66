package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// Names of the figures of the benchmark of distance.
const (
	roundTrip       = "round trip R"
	logWrite        = "log write F"
	staleRead       = "stale read"
	leaderRead      = "read at the leader"
	followerRead    = "read at a follower"
	leaderBump      = "bump at the leader"
	followerBump    = "bump at a follower"
	singleBump      = "bump at the leader, after a pause"
	leaderBumps     = "64 clients at the leader"
	leaderBumpsRate = leaderBumps + ", rate"
	allBumps        = "64 clients at all nodes"
	allBumpsRate    = allBumps + ", rate"
	pushed          = "push to a watcher of a follower"
	leaderless      = "without a leader"
)

// Settings of a node that decide its latency, in milliseconds: the defaults of cluster.Timing.
const (
	heartbeatTimeout = 500.0
	commitTimeout    = 5.0
)

// Surroundings are what a run depends on, in milliseconds: those of its network and of its disk.
type surroundings struct{ trip, write float64 }

// entry is how much longer than in other surroundings a log entry takes from the proposal to the
// commitment: the leader writes it, and only then sends it; the faster follower writes it and answers.
func (s surroundings) entry(than surroundings) float64 {
	return s.trip - than.trip + 2*(s.write-than.write)
}

// An expectation is what the model says of one figure. The processor time is in the base, a run without
// distance; what comes to it follows from the surroundings.
type expectation struct {
	figure, formula string
	of              func(base float64, from, at surroundings) float64
}

// expectations are the model. docs/performance.md has its assumptions.
func expectations() []expectation {
	return []expectation{
		{staleRead, "0", func(base float64, _, _ surroundings) float64 { return base }},
		{leaderRead, "R", trips(1)},
		{followerRead, "R", trips(1)},
		{leaderBump, "2F+R", func(base float64, from, at surroundings) float64 { return base + at.entry(from) }},
		{followerBump, "2F+2R+w", func(base float64, from, at surroundings) float64 {
			return base + at.entry(from) + at.trip - from.trip + answerWait(at.trip)
		}},
		{singleBump, "2F+R+v", func(base float64, from, at surroundings) float64 {
			return base + at.entry(from) + pauseWait(at.trip)
		}},
		{leaderBumpsRate, "64/T", rate(64)},
		{leaderBumps, "T", func(base float64, from, at surroundings) float64 { return base + at.entry(from) }},
		{allBumpsRate, "26/T", rate(26)},
		{allBumps, "2.5T", func(base float64, from, at surroundings) float64 { return base + 2.5*at.entry(from) }},
		{pushed, "1.5C+R/2", trips(0.5)},
		{leaderless, "2.06H+10F+6R", func(_ float64, _, at surroundings) float64 {
			return lostLeader() + 10*at.write + 6*at.trip
		}},
	}
}

// trips is the base and so many round trips.
func trips(n float64) func(base float64, from, at surroundings) float64 {
	return func(base float64, from, at surroundings) float64 { return base + n*(at.trip-from.trip) }
}

// rate is that of closed loops of which so many bumps are in each entry. One entry is under way at a time.
func rate(perEntry float64) func(base float64, from, at surroundings) float64 {
	return func(base float64, from, at surroundings) float64 {
		return 1000 * perEntry / (1000*perEntry/base + at.entry(from))
	}
}

// A follower votes for another only when it has missed the leader itself. It looks at intervals between one and
// two heartbeat timeouts, and must have heard nothing for one timeout. So the wait of each is one timeout and
// the rest of an interval, and that of both the longer of the two, of which this is the median.
//
// The rest of an interval is, in timeouts, below x with a probability of 1 - (2-x)²/3, for x from 1 to 2;
// for the longer of two that must be √½.
func lostLeader() float64 { return heartbeatTimeout * (1 + 2 - math.Sqrt(3*(1-math.Sqrt2/2))) }

// answerWait is how long a bump that comes a round trip after the answer to the one before waits for the
// replication to be free. The leader sends each follower one message at a time, and when it has none
// for one to two commit timeouts, an empty one. The bump waits until the earlier of the two is answered.
func answerWait(trip float64) float64 {
	const early = 1 - math.Sqrt2/2 // the median of the smaller of two that are evenly spread from 0 to 1
	if trip < commitTimeout*(1+math.Sqrt2/2) {
		return 0 // more often than not one of them has not been sent yet
	}
	return commitTimeout * (1 + early)
}

// pauseWait is how long a bump that comes at any time waits for that, at the median. The two followers
// are sent their messages at nearly the same time, so one is on its way for a round trip of each round trip
// and 1.5 commit timeouts.
func pauseWait(trip float64) float64 { return max(0, trip-1.5*commitTimeout) / 2 }

// compareModel prints each figure as measured and as modelled, and the ratio. The first result is the base.
func compareModel(out io.Writer, r *report) error {
	fmt.Fprintf(out, "\n%s: %s\n%s\n\n", r.Benchmark, pairs(r.Settings), pairs(r.Environment))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "median\tunit\tmodel\t")
	for i, c := range r.Results {
		fmt.Fprintf(t, "%s\t", c.Name)
		if i > 0 {
			fmt.Fprint(t, "modelled\tratio\t")
		}
	}
	fmt.Fprintln(t)
	base := r.Results[0].Median
	for _, f := range base {
		expect, formula := expected(f.Name)
		fmt.Fprintf(t, "%s\t%s\t%s\t", f.Name, f.Unit, formula)
		for i, c := range r.Results {
			value := valueOf(c.Median, f.Name)
			if c.Median == nil {
				fmt.Fprint(t, "-\t\t\t")
				continue
			}
			fmt.Fprintf(t, "%s\t", number(value))
			switch {
			case i > 0 && expect != nil:
				model := expect(f.Value, around(base), around(c.Median))
				fmt.Fprintf(t, "%s\t%s\t", number(model), ratio(value, model))
			case i > 0:
				fmt.Fprint(t, "\t\t")
			}
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

// expected finds what the model says of a figure; nil if nothing.
func expected(name string) (of func(base float64, from, at surroundings) float64, formula string) {
	for _, e := range expectations() {
		if e.figure == name {
			return e.of, e.formula
		}
	}
	return nil, ""
}

// around takes the surroundings from the figures of a run.
func around(figures []figure) surroundings {
	return surroundings{valueOf(figures, roundTrip), valueOf(figures, logWrite)}
}
