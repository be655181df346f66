package main

import "time"

// A clock gives nanoseconds that other processes of this machine can be held against, and
// that do not go back: the wall clock when it was made, and from there on the monotonic one.
type clock struct {
	base  int64
	start time.Time
}

func newClock() clock {
	t := time.Now()
	return clock{t.UnixNano(), t}
}

func (c clock) now() int64 { return c.base + int64(time.Since(c.start)) }

// A schedule says when writes are due. It does not move when one is late, so that a server
// that pauses is asked for what it missed as well.
type schedule struct {
	start int64 // in nanoseconds of a clock
	rate  int   // a second
}

// at returns when write i is due; rounding does not add up over the writes.
func (s schedule) at(i int64) int64 {
	rate := int64(s.rate)
	return s.start + i/rate*int64(time.Second) + i%rate*int64(time.Second)/rate
}
