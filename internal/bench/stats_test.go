package main

import "testing"

func TestPercentile(t *testing.T) {
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	for _, c := range []struct {
		values []int64
		p      float64
		want   int64
	}{
		{nil, 99, 0}, {[]int64{7}, 0, 7}, {[]int64{7}, 50, 7}, {[]int64{7}, 100, 7},
		{hundred, 0, 1}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 99.5, 100}, {hundred, 100, 100},
		{[]int64{1, 2, 3}, 50, 2}, {[]int64{1, 2, 3, 4}, 50, 2}, {[]int64{1, 2, 3}, 34, 2},
	} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("percentile %v of %d values: %d, not %d", c.p, len(c.values), got, c.want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 3}, 3}, {[]float64{4, 1, 2, 9}, 3},
	} {
		if got := median(c.values); got != c.want {
			t.Errorf("the median of %v: %v, not %v", c.values, got, c.want)
		}
	}
}

func TestMediansAreByFigure(t *testing.T) {
	run := func(a, b float64) []figure { return []figure{{"a", "s", a}, {"b", "", b}} }
	some := append(run(2, 20), figure{"c", "", 5}) // which the others have not
	got := medians([][]figure{run(1, 30), run(3, 10), some})
	if len(got) != 3 || got[2] != (figure{"c", "", 5}) || got[0] != (figure{"a", "s", 2}) || got[1] != (figure{"b", "", 20}) {
		t.Errorf("the medians: %v", got)
	}
}

// TestScheduleDoesNotDrift asks for the times of writes of a rate that no whole number of
// nanoseconds fits.
func TestScheduleDoesNotDrift(t *testing.T) {
	s := schedule{start: 1000, rate: 3}
	for i, want := range map[int64]int64{0: 1000, 1: 333_334_333, 2: 666_667_666, 3: 1_000_001_000, 3_000_000: 1_000_000_000_001_000} {
		if got := s.at(i); got != want {
			t.Errorf("write %d is due at %d, not %d", i, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 12: "12", 0.25: "0.2500", 3.14159: "3.14", 123.4: "123"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, not %s", v, got, want)
		}
	}
}
