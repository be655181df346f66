package main

import (
	"os"
	"testing"
	"time"
)

func TestDestination(t *testing.T) {
	four := []byte{0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2}
	if to, ok := destination(four); !ok || to.String() != "198.18.0.2" {
		t.Errorf("the destination: %v, %t", to, ok)
	}
	six := make([]byte, 40)
	six[0] = 0x60
	for _, data := range [][]byte{nil, four[:19], six} {
		if to, ok := destination(data); ok {
			t.Errorf("%v goes to %v", data, to)
		}
	}
}

// TestLANDelays has a byte go from one machine to another and back.
func TestLANDelays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may make machines")
	}
	for _, delay := range []time.Duration{0, 5 * time.Millisecond} {
		l, err := startLAN(3, delay)
		if err != nil {
			t.Skip("there can be no machines here:", err)
		}
		trip, err := l.roundTrip(t.Context())
		l.close()
		if err != nil {
			t.Fatal(err)
		}
		t.Log(delay, trip)
		if trip < 2*delay {
			t.Errorf("a delay of %v makes a round trip of %v", delay, trip)
		}
	}
}
