package cluster

import (
	"context"
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
		"nobody else comes":           func(c *company) { c.waited(1) },
		"they come, others meanwhile": func(c *company) { c.waited(8); c.answered(8, 3, time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			var c company
			next := func() (entries int) {
				for c.want == 0 {
					c.answered(8, 0, time.Millisecond)
					entries++
				}
				return entries
			}
			next()
			for _, want := range []int{8, 16, 32, 64, 128, 256, 256} {
				try(&c)
				// The entry after it is the first or, if it was judged by that, the second.
				if skipped := next() - 1; skipped != want && skipped != want-1 {
					t.Fatalf("%d entries did not wait; want %d", skipped, want)
				}
			}
			for range 10 {
				c.waited(8)
				c.answered(8, 0, time.Millisecond)
			}
			try(&c)
			if skipped := next() - 1; skipped > fewestSkips {
				t.Errorf("after tries that came off %d entries did not wait; want at most %d", skipped, fewestSkips)
			}
		})
	}
}

// TestPatience: the fewer are there and the more are not, the longer they wait.
func TestPatience(t *testing.T) {
	for _, tc := range []struct {
		want, there int
		patience    time.Duration
	}{
		{2, 1, 2 * time.Millisecond}, {8, 6, 4 * time.Millisecond / 6}, {64, 1, 126 * time.Millisecond}, {64, 63, 4 * time.Millisecond / 126},
	} {
		c := company{want: tc.want, took: 4 * time.Millisecond}
		if got := c.patience(tc.there); got != tc.patience {
			t.Errorf("%d of %d wait %v for another; want %v", tc.there, tc.want, got, tc.patience)
		}
	}
}

// TestGather: one who is there waits for another until that one comes, for as long as pays, and not when the node stops.
func TestGather(t *testing.T) {
	const took = 8 * time.Millisecond
	for name, tc := range map[string]struct {
		until, comes, stops, waits time.Duration
		there                      int
	}{
		"another one comes":         {until: time.Second, comes: 3300 * time.Microsecond, waits: 3300 * time.Microsecond, there: 2},
		"nobody comes":              {until: time.Second, waits: took / 2, there: 1},
		"it is late":                {until: 2 * time.Millisecond, waits: 2 * time.Millisecond, there: 1},
		"it is too late":            {until: -time.Millisecond, there: 1},
		"the node stops":            {until: time.Second, stops: 1300 * time.Microsecond, waits: 1300 * time.Microsecond, there: 1},
		"the other is there before": {until: time.Second, comes: -1, there: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newProposer(&Node{})
				come := func() { q.add(&pending{command: []byte("x")}) }
				come()
				if tc.comes < 0 {
					come()
				} else if tc.comes > 0 {
					time.AfterFunc(tc.comes, come)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.stops > 0 {
					time.AfterFunc(tc.stops, cancel)
				}
				<-q.wake
				q.company = company{want: 2, until: time.Now().Add(tc.until), took: took}
				began := time.Now()
				q.gather(ctx)
				if waited := time.Since(began); waited != tc.waits || len(q.queue) != tc.there {
					t.Errorf("after %v there are %d; want %d after %v", waited, len(q.queue), tc.there, tc.waits)
				}
			})
		})
	}
}
