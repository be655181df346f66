package cluster

import (
	"testing"
	"time"
	"unsafe"
)

// misread is what time.Now would have returned at t had the time of day been off by so much then: the
// monotonic clock, which is right, is not changed. Of package time it knows where a time that has a
// monotonic part keeps its seconds, in the same bits since Go 1.9.
func misread(t time.Time, off time.Duration) time.Time {
	const secondsAt = 30
	wall := (*uint64)(unsafe.Pointer(&t))
	*wall += uint64(off/time.Second) << secondsAt
	return t
}

// TestSnapshotRetryByTheMonotonicClock has a snapshot fail while the time of day is wrong.
func TestSnapshotRetryByTheMonotonicClock(t *testing.T) {
	const year = 365 * 24 * time.Hour
	began := time.Now()
	for _, off := range []time.Duration{0, year, -year} {
		failed := misread(began, off)
		if told := failed.Round(0).Sub(began.Round(0)); told != off || failed.Sub(began) != 0 {
			t.Fatalf("a time that should be off by %v is by %v", off, told)
		}
		var taker snapshotTaker
		if taker.rests(began) {
			t.Error("it rests, and nothing has failed")
		}
		taker.failed.Store(&failed)
		if !taker.rests(began.Add(snapshotRetry - 1)) {
			t.Errorf("off by %v, it tries again too early", off)
		}
		if taker.rests(began.Add(snapshotRetry)) {
			t.Errorf("off by %v, it does not try again", off)
		}
	}
}
