package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestAlternate: each round has all contestants, and begins with the next one; figures stay with whom they are of.
func TestAlternate(t *testing.T) {
	var order []string
	var contestants []contestant
	for i, name := range []string{"a", "b", "c"} {
		contestants = append(contestants, contestant{name, func(context.Context) ([]figure, error) {
			order = append(order, name)
			return []figure{{"number", "", float64(i)}}, nil
		}})
	}
	results, err := alternate(t.Context(), 4, contestants, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "b", "c", "b", "c", "a", "c", "a", "b", "a", "b", "c"}; !slices.Equal(order, want) {
		t.Errorf("the order is %v, want %v", order, want)
	}
	for i, r := range results {
		if r.Name != contestants[i].name || len(r.Runs) != 4 || valueOf(r.Median, "number") != float64(i) {
			t.Errorf("result %d is %+v", i, r)
		}
	}
}

// TestPrint: ratios are by round, contestants may have fewer rounds, and figures that not all have.
func TestPrint(t *testing.T) {
	one := rounds("one", 0, 200, 300, 100)
	one.Runs[1] = append(one.Runs[1], figure{"of its own", "", 7})
	one.Median = medians(one.Runs)
	r := &report{Benchmark: "any", Results: []result{one, rounds("two", 0, 100, 200, 100), rounds("three", 0, 100, 100), {Name: "none"}}}
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		if len(fields) > 0 {
			rows[fields[0]] = strings.Join(fields[1:], " ")
		}
	}
	for name, want := range map[string]string{
		throughput: "200 100 1.500 [1.00 2.00] 100 2.500 [2.00 3.00] - -",
		failures:   "0 0 - 0 - - -",
		"of":       "its own 7 - - - - - -",
	} {
		if rows[name] != want {
			t.Errorf("%s: %s, want %s", name, rows[name], want)
		}
	}
}
