package cluster

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestCompany says how many commands the entry after another waits for.
func TestCompany(t *testing.T) {
	for name, tc := range map[string]struct{ commands, meanwhile, want int }{
		"nobody else":            {1, 0, 1},
		"all were in it":         {8, 0, 8},
		"half were in it":        {4, 4, 8},
		"more than are worth it": {120, 130, companyMost},
		"most came meanwhile":    {1, 70, companyMost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c company
				c.answered(tc.commands, tc.meanwhile, 3*time.Millisecond)
				if c.want != tc.want || time.Until(c.until) != 6*time.Millisecond {
					t.Errorf("it waits for %d, %v long; want %d, 6ms", c.want, time.Until(c.until), tc.want)
				}
				c.answered(tc.commands, tc.meanwhile, time.Minute)
				if time.Until(c.until) != companyLimit {
					t.Errorf("it waits %v long; want %v", time.Until(c.until), companyLimit)
				}
			})
		})
	}
}

// TestCompanyThatDoesNotCome is given up for ever longer, and not for good.
func TestCompanyThatDoesNotCome(t *testing.T) {
	for name, try := range map[string]func(*company){
		"too few come":                func(c *company) { c.waited(5) },
		"others come meanwhile":       func(c *company) { c.waited(8); c.answered(8, 3, time.Millisecond) },
		"some come, others meanwhile": func(c *company) { c.waited(6); c.answered(6, 2, time.Millisecond) },
		"nobody comes":                func(c *company) { c.waited(1) },
	} {
		t.Run(name, func(t *testing.T) {
			var c company
			next := func() (entries int) {
				for c.answered(8, 0, time.Millisecond); c.want == 0; c.answered(8, 0, time.Millisecond) {
					entries++
				}
				return entries
			}
			for _, want := range []int{0, 8, 16, 32, 64, 128, 256, 256} {
				// A try is judged by what comes with it and while it is under way.
				if got := next(); got != want && got != want-1 {
					t.Fatalf("%d entries did not wait; want %d", got, want)
				}
				try(&c)
			}
			c = company{want: 8, after: 256}
			c.waited(7)
			c.answered(7, 1, time.Millisecond)
			if c.want != 8 {
				t.Errorf("after a try that came off the next waits for %d; want 8", c.want)
			}
			try(&c)
			if got := next(); got > fewestSkips {
				t.Errorf("after that %d entries did not wait; want at most %d", got, fewestSkips)
			}
		})
	}
}
