package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// runChart draws what the benchmark of bumps and reads has saved.
func runChart(_ context.Context, args []string, _ io.Writer) error {
	var from, to, root string
	f := flag.NewFlagSet("chart", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&from, "json", "", "")
	f.StringVar(&to, "out", "", "")
	f.StringVar(&root, "root", ".", "") // as all benchmarks are given it
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if f.NArg() > 0 || from == "" || to == "" {
		return fmt.Errorf("%w: chart needs --json and --out, and no more", errUsage)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("reading the figures: %w", err)
	}
	reports, err := savedIn(text)
	if err != nil {
		return fmt.Errorf("reading the figures of %s, which are to be those of load: %w", from, err)
	}
	c, err := chartOf(reports)
	if err != nil {
		return fmt.Errorf("drawing %s: %w", from, err)
	}
	if err := os.WriteFile(to, c.svg(), 0o644); err != nil {
		return fmt.Errorf("saving the chart: %w", err)
	}
	return nil
}

// savedIn reads reports that were saved, but for their targets: those of older files were sentences.
func savedIn(text []byte) ([]report, error) {
	var saved []struct {
		report
		Targets json.RawMessage `json:"targets"`
	}
	if err := json.Unmarshal(text, &saved); err != nil {
		return nil, err
	}
	var reports []report
	for _, s := range saved {
		reports = append(reports, s.report)
	}
	return reports, nil
}

// A chart is groups of bars, each group with an axis of its own.
type chart struct {
	title, unit string
	notes       []string
	groups      []barGroup
}

// A barGroup is the bars that are compared with each other.
type barGroup struct {
	title string
	bars  []bar
}

// A bar is one value. Those that are ours stand out.
type bar struct {
	name  string
	value float64
	ours  bool
	note  string
}

// chartOf makes a chart of the throughput in reports: a group for each, and in it the ratio of the
// first contestant to each other.
func chartOf(reports []report) (*chart, error) {
	c := &chart{title: "Bumps and reads of tesd, and what it is compared with", unit: throughput}
	for _, r := range reports {
		g := barGroup{title: r.about()}
		for _, one := range r.Results {
			value := valueOf(one.Median, throughput)
			if value == 0 {
				continue // it failed before its first round was over
			}
			b := bar{name: one.Name, value: value, ours: !r.peer(one.Name)}
			if len(g.bars) > 0 {
				b.note = fmt.Sprintf("%.2f×", g.bars[0].value/value)
			}
			g.bars = append(g.bars, b)
		}
		if len(g.bars) > 0 {
			c.groups = append(c.groups, g)
		}
	}
	if len(c.groups) == 0 {
		return nil, fmt.Errorf("there is no figure called %s", throughput)
	}
	first := reports[0]
	c.notes = []string{
		fmt.Sprintf("Medians; rounds: %s, of %s each. On the right: the rate of the first of the group over that of this bar.", first.Settings["rounds"], first.Settings["duration"]),
		fmt.Sprintf("tesd %s, %s, cores: %s, %s", first.Environment["tesd"], first.Environment["go"], first.Environment["cores"], first.Environment["date"]),
	}
	return c, nil
}

// about says what a report of bumps or reads is about.
func (r *report) about() string {
	for _, s := range scenarios(&system{}, nil) {
		if s.name == r.Benchmark {
			return strings.ToUpper(s.about[:1]) + s.about[1:]
		}
	}
	return r.Benchmark
}

// peer tells whether a contestant is another system than tesd. Systems stand in the environment.
func (r *report) peer(contestant string) bool {
	for system := range r.Environment {
		if system != "tesd" && (contestant == system || strings.HasPrefix(contestant, system+",")) {
			return true
		}
	}
	return false
}
