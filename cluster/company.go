package cluster

import "time"

// How long an entry waits for commands. It costs much that does not depend on how many it holds, and callers who
// are answered often come again at once: so as many are waited for as the last entry had, and as came
// while it was under way. Where callers come independently of each other that would only make them wait. There,
// as many come while an entry is under way as before it; a try that shows this is not repeated soon.
const (
	companyMost  = 64                    // an entry of so many has little to gain
	companyLimit = 20 * time.Millisecond // from the answer on
	fewestSkips  = 8                     // entries that do not wait after a try that failed,
	mostSkips    = 256                   // and after the last of many
)

// company decides how many commands the next entry waits for. It is not safe for concurrent use.
type company struct {
	want  int       // how many are waited for
	until time.Time // and how long
	tried bool      // the entry that is under way waited
	skips int       // entries until the next try
	after int       // how many those are after a try that failed
}

// answered notes that an entry is about to be answered, how long it took, and how many have come meanwhile.
func (c *company) answered(commands, meanwhile int, took time.Duration) {
	switch {
	case c.tried && 4*meanwhile > commands:
		c.fail()
	case c.tried:
		c.after = 0
	}
	c.tried, c.want = false, 0
	if c.skips > 0 {
		c.skips--
		return
	}
	c.want = min(commands+meanwhile, companyMost)
	c.until = time.Now().Add(min(2*took, companyLimit))
}

// waited notes that the wait is over, and how many are there.
func (c *company) waited(came int) {
	c.tried = true
	if 4*came < 3*c.want {
		c.fail()
	}
	c.want = 0
}

// fail has the next entries not wait.
func (c *company) fail() {
	c.tried = false
	c.after = min(max(2*c.after, fewestSkips), mostSkips)
	c.skips = c.after
}
