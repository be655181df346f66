package main

import (
	"context"
	"io"
	"slices"
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
