package main

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestModel has a disk of 1 ms and a processor that makes all take 1 ms more, and goes from no distance to 20 ms.
func TestModel(t *testing.T) {
	near, far := surroundings{0, 1}, surroundings{20, 1}
	for name, c := range map[string]struct{ base, want float64 }{
		staleRead:       {1, 1},
		leaderRead:      {1, 21},
		followerRead:    {1, 21},
		leaderBump:      {3, 23},
		followerBump:    {3, 43 + 5*(2-math.Sqrt2/2)},
		singleBump:      {3, 23 + 20*(1-27.5/40)},
		leaderBumps:     {8, 28},
		leaderBumpsRate: {8000, 64000 / 28.0},
		allBumps:        {12, 62},
		allBumpsRate:    {6500, 26000 / 24.0},
		pushed:          {8, 18},
		leaderless:      {900, 500*(3-math.Sqrt(3-3*math.Sqrt2/2)) + 10 + 120},
	} {
		of, formula := expected(name)
		if of == nil || formula == "" {
			t.Fatalf("nothing is expected of %s", name)
		}
		if got := of(c.base, near, far); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%s: %.3f, not %.3f", name, got, c.want)
		}
	}
	// A slower disk slows an entry at the leader and at the follower, one after the other.
	of, _ := expected(leaderBump)
	if got := of(3, near, surroundings{0, 5}); got != 11 {
		t.Errorf("with writes of 5 ms a bump takes %v ms, not 11", got)
	}
}

// TestWaits: nothing waits as long as followers are told of a commit before the next empty message.
func TestWaits(t *testing.T) {
	if answerWait(1) != 0 || pauseWait(1) != 0 {
		t.Errorf("at 1 ms a bump waits %v and %v ms", answerWait(1), pauseWait(1))
	}
	if w := pauseWait(1000); w < 450 || w > 500 {
		t.Errorf("a bump that comes while a message is nearly always under way waits %v of 1000 ms", w)
	}
}

func TestCompareModel(t *testing.T) {
	run := func(trip, bump float64) []figure {
		return []figure{{roundTrip, "ms", trip}, {logWrite, "ms", 1}, {leaderBump, "ms", bump}}
	}
	r := &report{Results: []result{{Name: "0s", Median: run(0, 3)}, {Name: "10ms", Median: run(10, 26)}}}
	var out strings.Builder
	if err := compareModel(&out, r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if want := strings.Fields(leaderBump + " ms 2F+R 3 26 13 2.000"); !slices.Equal(strings.Fields(lines[len(lines)-1]), want) {
		t.Errorf("the last line is %q, not %q", lines[len(lines)-1], want)
	}
}

func TestParseDistance(t *testing.T) {
	o, err := parseDistance([]string{"--round-trips", "20ms,0s,5ms", "--rounds=1"})
	if err != nil || o.rounds != 1 || !slices.Equal(o.trips, []time.Duration{0, 20 * time.Millisecond, 5 * time.Millisecond}) {
		t.Errorf("the options: %+v, %v", o, err)
	}
	for _, args := range [][]string{{"--round-trips", ""}, {"--round-trips", "-1ms"}, {"--round-trips", "1h"}, {"--rounds", "0"}, {"more"}, {"--unknown"}} {
		if _, err := parseDistance(args); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v", args, err)
		}
	}
}
