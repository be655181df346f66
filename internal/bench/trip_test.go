package main

import (
	"os"
	"testing"
	"time"

	"github.com/tesd/tesd/internal/lan"
)

// TestMeasureTrip has a byte go from one machine to another and back.
func TestMeasureTrip(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make machines")
	}
	l, err := lan.Start(3)
	if err != nil {
		t.Skip("there can be no machines here:", err)
	}
	defer l.Close()
	for _, delay := range []time.Duration{0, 25 * time.Millisecond} {
		slow := l.Impair(lan.Impairment{Delay: delay}, lan.Ways(l.Machines, l.Machines)...)
		trip, err := measureTrip(t.Context(), l.Machines[0], l.Machines[1])
		slow.End()
		if err != nil {
			t.Fatal(err)
		}
		t.Log(delay, trip)
		if trip < 2*delay || delay > 0 && trip > 4*delay {
			t.Errorf("a delay of %v makes a round trip of %v", delay, trip)
		}
	}
}
