package cluster

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestYieldWaitsForThoseWhoCome: it ends after some turns without anybody new, and not before.
func TestYieldWaitsForThoseWhoCome(t *testing.T) {
	for _, c := range []struct {
		about  string
		come   func(turn int) int // how many wait after so many turns
		last   int
		enough int
		turns  int
	}{
		{"alone after one who came alone", func(int) int { return 1 }, 1, 64, 0},
		{"alone after two", func(int) int { return 1 }, 2, 64, yieldTurns},
		{"two after one", func(int) int { return 2 }, 1, 64, yieldTurns},
		{"one each turn until ten have come", func(turn int) int { return min(turn, 10) }, 9, 64, 10 + yieldTurns},
		{"one now and then", func(turn int) int { return min(turn/(yieldTurns-1), 3) }, 9, 64, 3*(yieldTurns-1) + yieldTurns},
		{"one too late", func(turn int) int { return turn / (yieldTurns + 1) }, 9, 64, yieldTurns},
		{"enough", func(turn int) int { return 8 * turn }, 9, 64, 8},
		{"enough from the beginning", func(int) int { return 64 }, 9, 64, 0},
	} {
		synctest.Test(t, func(t *testing.T) { // its clock stands still meanwhile
			asked := -1
			yield(func() int { asked++; return c.come(asked) }, c.last, c.enough)
			if asked != c.turns {
				t.Errorf("%s: %d turns, want %d", c.about, asked, c.turns)
			}
		})
	}
}

// TestYieldEnds: it ends although somebody comes with every turn.
func TestYieldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, came := time.Now(), 0
		yield(func() int {
			<-time.After(yieldLimit / 8) // what the turn takes
			came++
			return came
		}, 2, 1<<20)
		if took := time.Since(began); took < yieldLimit || took > 2*yieldLimit {
			t.Errorf("it took %v, want about %v", took, yieldLimit)
		}
	})
}
