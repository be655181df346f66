package main

import (
	"errors"
	"sync/atomic"
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

// TestBeside has one client do something each second that holds up the others for a moment: too few operations for their
// p99 to show it, so those are looked at alone.
func TestBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Pointer[chan struct{}] // closed when the one is done; what waits for a mutex stops the clock
		pause := func(d time.Duration) { <-time.After(d) }
		op, err := beside(func(*cluster) (operation, error) {
			return func(*worker) (int, error) {
				pause(time.Millisecond)
				if c := busy.Load(); c != nil {
					<-*c
				}
				return 0, nil
			}, nil
		}, func(*cluster) (operation, error) {
			return func(*worker) (int, error) {
				done := make(chan struct{})
				busy.Store(&done)
				pause(50 * time.Millisecond)
				busy.Store(nil)
				close(done)
				return 0, nil
			}, nil
		})(&cluster{})
		if err != nil {
			t.Fatal(err)
		}
		figures, err := loop{clients: 9, warmup: 500 * time.Millisecond, duration: 2 * time.Second}.run(t.Context(), &cluster{}, op)
		if err != nil {
			t.Fatal(err)
		}
		value := func(name string) float64 { return valueOf(figures, name) }
		if value(rare) > 2 || value(rareBeside) < 50 || value("max beside a wide one") != value("max") {
			t.Errorf("p99 %v ms, beside the one %v ms, want some 1 and 50; the others: %v", value(rare), value(rareBeside), figures)
		}
		if n := value("beside a wide one"); n < 16 || n > 48 {
			t.Errorf("%v operations were beside two others, want two or three of 8 clients each", n)
		}
	})
}
