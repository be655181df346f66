package e2e_test

import (
	"flag"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
)

var wrongClocks = flag.Bool("e2e.clocks", false, "have clocks be wrong, for which package time is built anew") // immutable: set by the command line

// TestWrongClocks sets the clocks of all nodes a year ahead, and then a day behind what is right: what
// they log and stamp shows it, bumps go on, and stamps never go back.
func TestWrongClocks(t *testing.T) {
	if !*wrongClocks {
		t.Skip("it builds all on a package time of its own, a minute of work the first time; scripts/chaos bumps --processes --clocks runs it")
	}
	binary, err := e2e.BuildClocks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := e2e.Options{Args: []string{"--registry-file", example}, Clocks: true}.New(t, binary)
	last := int64(0)
	bump := func() time.Duration {
		t.Helper()
		b, err := c.Client().Bump(t.Context(), client.BumpRequest{Scope: client.Patch})
		if err != nil {
			t.Fatal(err)
		}
		if b.Timestamp < last {
			t.Errorf("a stamp of %d follows one of %d", b.Timestamp, last)
		}
		last = b.Timestamp
		return time.Until(time.UnixMilli(b.Timestamp))
	}
	set := func(ahead time.Duration) {
		t.Helper()
		for _, n := range c.Nodes {
			if err := n.Clock.Set(ahead); err != nil {
				t.Fatal(err)
			}
		}
	}
	const year = 365 * 24 * time.Hour
	for _, step := range []struct{ ahead, stamped time.Duration }{{0, 0}, {year, year}, {-24 * time.Hour, year}, {0, year}} {
		set(step.ahead)
		if stamped := bump(); math.Abs(float64(stamped-step.stamped)) > float64(time.Minute) {
			t.Errorf("with clocks %v ahead a bump is stamped %v ahead, want %v", step.ahead, stamped, step.stamped)
		}
	}
	c.Leader() // nobody has lost it
	c.Wait("no node logs with a clock that is wrong", 20*time.Second, func() bool {
		set(year)
		bump()
		year := time.Now().Add(year).Format(`"2006-01-`)
		for _, n := range c.Nodes {
			if strings.Contains(c.Log(n), year) {
				return true
			}
		}
		return false
	})
}
