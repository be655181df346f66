package main

import "slices"

// A span is a stretch of time, in nanoseconds of a clock.
type span struct{ from, to int64 }

// lengths are how long so many took, sorted.
func lengths(spans []span) []int64 {
	took := make([]int64, len(spans))
	for i, s := range spans {
		took[i] = s.to - s.from
	}
	slices.Sort(took)
	return took
}

// split parts how long bumps took by whether one of some others was under way meanwhile; both are sorted.
func split(bumps, others []span) (beside, apart []int64) {
	for _, b := range bumps {
		during := slices.ContainsFunc(others, func(s span) bool { return b.from <= s.to && s.from <= b.to })
		if during {
			beside = append(beside, b.to-b.from)
		} else {
			apart = append(apart, b.to-b.from)
		}
	}
	slices.Sort(beside)
	slices.Sort(apart)
	return beside, apart
}
