package main

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// TestOpenLoop: operations come at their rate however long each takes, and one takes as long as from when it was due.
func TestOpenLoop(t *testing.T) {
	run := func(t *testing.T, clients int, took time.Duration) (value func(name string) float64) {
		var figures []figure
		synctest.Test(t, func(t *testing.T) {
			var err error
			l := loop{clients: clients, warmup: time.Second, duration: 10 * time.Second, rate: 1000}
			figures, err = l.run(t.Context(), &cluster{}, func(*worker) (int, error) {
				<-time.After(took)
				return 0, nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
		return func(name string) float64 { return valueOf(figures, name) }
	}
	if v := run(t, 256, 20*time.Millisecond); math.Abs(v(arrived)-1000) > 50 || v(typical) != 20 || v(rare) != 20 {
		t.Errorf("enough clients: %v/s, p50 %v ms, p99 %v ms, want 1000/s and 20 ms", v(arrived), v(typical), v(rare))
	}
	// Half of what comes can be answered: what is due after t seconds, of 11, is answered after 2t.
	if v := run(t, 10, 20*time.Millisecond); math.Abs(v(arrived)-500) > 5 || math.Abs(v(typical)-6000) > 500 {
		t.Errorf("half as many clients: %v/s, p50 %v ms, want 500/s and 6000 ms", v(arrived), v(typical))
	}
}

// TestArrivals: they are as far apart as those that know nothing of each other, half of them less than ln 2 of the mean.
func TestArrivals(t *testing.T) {
	a := arriving(100)
	first, short, n := a.next, 0, 10_000
	last := first
	for range n {
		next := a.take()
		if next.Sub(last).Seconds() < math.Ln2/100 {
			short++
		}
		last = next
	}
	if took := last.Sub(first).Seconds(); math.Abs(took-100) > 5 || math.Abs(float64(short-n/2)) > 200 {
		t.Errorf("%d arrivals took %v s, want 100; %d are early, want half", n, took, short)
	}
}
