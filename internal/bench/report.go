package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A figure is one thing that a run measured.
type figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

// A contestant is what is run in turn with others.
type contestant struct {
	name string
	run  func(ctx context.Context) ([]figure, error)
}

// A report is what a benchmark found: the figures of each run, and their medians.
type report struct {
	Benchmark   string            `json:"benchmark"`
	Environment map[string]string `json:"environment"`
	Settings    map[string]string `json:"settings"`
	Results     []result          `json:"results"`
	Targets     []standing        `json:"targets,omitempty"`
}

// A result is that of one contestant.
type result struct {
	Name   string     `json:"name"`
	Median []figure   `json:"median"`
	Runs   [][]figure `json:"runs"`            // by round
	Ended  string     `json:"ended,omitempty"` // why there are no more runs
}

// environment says where the figures come from; the data lie in dir.
func environment(dir string, systems ...*system) (map[string]string, error) {
	disk, err := disk(dir)
	if err != nil {
		return nil, err
	}
	e := map[string]string{
		"disk":  disk,
		"cores": fmt.Sprint(runtime.NumCPU()), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		"open files": fmt.Sprint(fileLimit()), "date": time.Now().UTC().Format(time.DateOnly),
	}
	for _, s := range systems {
		e[s.name] = s.version
	}
	return e, nil
}

// alternate runs the contestants in turn, rounds times, each round beginning with another, so that whatever else
// the machine does comes to all alike. One that fails ends the benchmark; what was measured until then
// is returned with the error.
func alternate(ctx context.Context, rounds int, contestants []contestant, progress io.Writer) ([]result, error) {
	results := make([]result, len(contestants))
	for i, c := range contestants {
		results[i].Name = c.name
	}
	defer func() {
		for i := range results {
			results[i].Median = medians(results[i].Runs)
		}
	}()
	for round := range rounds {
		for k := range contestants {
			i := (round + k) % len(contestants)
			c := contestants[i]
			figures, err := c.run(ctx)
			if err != nil {
				results[i].Ended = err.Error()
				return results, fmt.Errorf("round %d of %s: %w", round+1, c.name, err)
			}
			results[i].Runs = append(results[i].Runs, figures)
			fmt.Fprintf(progress, "round %d of %d, %s: %s\n", round+1, rounds, c.name, brief(figures))
		}
	}
	return results, nil
}

// brief is a line of the first figures of a run.
func brief(figures []figure) string {
	var parts []string
	for _, f := range figures[:min(5, len(figures))] {
		parts = append(parts, fmt.Sprintf("%s %s %s", f.Name, number(f.Value), f.Unit))
	}
	return strings.Join(parts, ", ")
}

// medians takes the median of each figure over the runs that have it.
func medians(runs [][]figure) []figure {
	var middle []figure
	for _, f := range union(runs) {
		var values []float64
		for _, run := range runs {
			if v, ok := lookUp(run, f.Name); ok {
				values = append(values, v)
			}
		}
		middle = append(middle, figure{f.Name, f.Unit, median(values)})
	}
	return middle
}

// union is the figures of several runs, each once.
func union(runs [][]figure) []figure {
	var found []figure
	for _, f := range slices.Concat(runs...) {
		if _, ok := lookUp(found, f.Name); !ok {
			found = append(found, f)
		}
	}
	return found
}

// lookUp finds the value of a figure by its name.
func lookUp(figures []figure, name string) (value float64, found bool) {
	for _, f := range figures {
		if f.Name == name {
			return f.Value, true
		}
	}
	return 0, false
}

// valueOf returns the value of a figure by its name, 0 if there is none.
func valueOf(figures []figure, name string) float64 {
	value, _ := lookUp(figures, name)
	return value
}

// print writes the table of medians. Ratios are those of the first contestant to each other: the median over the
// rounds, and in brackets how far they differ.
func (r *report) print(out io.Writer) error {
	fmt.Fprintf(out, "\n%s: %s\n%s\n\n", r.Benchmark, pairs(r.Settings), pairs(r.Environment))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "median\tunit\t")
	var medians [][]figure
	for i, c := range r.Results {
		medians = append(medians, c.Median)
		fmt.Fprintf(t, "%s\t", c.Name)
		if i > 0 {
			fmt.Fprintf(t, "%s / it\t", r.Results[0].Name)
		}
	}
	fmt.Fprintln(t)
	for _, f := range union(medians) {
		fmt.Fprintf(t, "%s\t%s\t", f.Name, f.Unit)
		for i, c := range r.Results {
			cell := "-"
			if value, ok := lookUp(c.Median, f.Name); ok {
				cell = number(value)
			}
			fmt.Fprintf(t, "%s\t", cell)
			if i > 0 {
				fmt.Fprintf(t, "%s\t", spreadOf(ratios(r.Results[0], c, f.Name)))
			}
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("printing the table: %w", err)
	}
	return nil
}

// save writes the report as JSON to a file, if one is named.
func (r *report) save(path string) error { return saveJSON(path, r) }

// saveAll writes several reports to one file.
func saveAll(path string, reports []*report) error { return saveJSON(path, reports) }

func saveJSON(path string, what any) error {
	if path == "" {
		return nil
	}
	text, err := json.MarshalIndent(what, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("saving the figures: %w", err)
	}
	return nil
}

// spreadOf writes the median of values, and the lowest and highest of them.
func spreadOf(values []float64) string {
	switch len(values) {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.3f", values[0])
	}
	return fmt.Sprintf("%.3f [%.2f %.2f]", median(values), slices.Min(values), slices.Max(values))
}

func ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", a/b)
}

// number writes a value with as many places as matter.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}
