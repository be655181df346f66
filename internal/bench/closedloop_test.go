package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpent: what was used between two readings is divided by what was done and by the time that passed between them.
func TestSpent(t *testing.T) {
	start := time.Now()
	seconds := func(rss int64, all ...float64) (usages []usage) {
		for _, s := range all {
			usages = append(usages, usage{cpu: time.Duration(s * float64(time.Second)), rss: rss})
		}
		return usages
	}
	got := spent(reading{start, 100, seconds(1<<20, 1, 2, 5)}, reading{start.Add(4 * time.Second), 1100, seconds(3<<20, 3, 4, 9)})
	want := []figure{
		{"CPU an operation", "µs", 8000}, {"CPU node 1", "cores", 0.5}, {"CPU node 2", "cores", 0.5}, {"CPU node 3", "cores", 0},
		{"CPU clients", "cores", 1}, {"RSS node 1", "MiB", 3},
	}
	for i, f := range want {
		if len(got) != len(want) || got[i] != f {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

// TestLoopReadsOnTime has an operation that ends long after the loop. What is used is read at both ends of what is measured, with
// what was done until then.
func TestLoopReadsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := loop{clients: 2, warmup: time.Second, duration: 2 * time.Second}
		tallies, before, after, err := l.drive(t.Context(), &cluster{}, func(w *worker) (int, error) {
			if w.id == 0 {
				<-time.After(time.Minute)
				return 0, errUncounted
			}
			<-time.After(110 * time.Millisecond)
			if w.count == 15 {
				return 0, errors.New("refused")
			}
			return 2, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		// In three seconds 27 are answered, one of them in vain, and 9 in the first; the second and third have 18 begin.
		if took, n := after.at.Sub(before.at), after.done-before.done; took != l.duration || before.done != 9 || n != 17 {
			t.Errorf("%d are done between two readings that are %v apart, want 17 in %v", n, took, l.duration)
		}
		figures, err := l.figures(tallies)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]float64{throughput: 8.5, typical: 110, rare: 110, "max": 110, failures: 1, "conflicts": 34} {
			if got := valueOf(figures, name); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
	})
}
