package cluster

import (
	"context"
	"time"
)

// How long an entry waits for commands. It costs much that does not depend on how many it holds, and callers who
// are answered often come again at once. So it waits for as many as the last one had and as came while that
// was under way, if those who are there lose less by it than the others win. All fall into step then.
// Callers who come independently of each other do not: many of them come while an entry is under way. A try
// that shows this is not repeated soon.
const (
	companyMost   = 64                    // an entry of so many has little to gain
	companyLimit  = 20 * time.Millisecond // from the answer on
	companyGlance = 8                     // looks in the time that an entry takes
	fewestSkips   = 8                     // entries that do not wait after a try that failed,
	mostSkips     = 256                   // and after the last of many
)

// company decides how many commands the next entry waits for. It is not safe for concurrent use.
type company struct {
	want  int           // of the next entry: how many are waited for
	until time.Time     // and how long at most
	took  time.Duration // by the last entry
	tried bool          // the entry that is under way waited
	skips int           // entries until the next try
	pause int           // how many those were after the last try that failed
}

// answered notes that an entry is about to be answered, how long it took, and how many have come meanwhile.
func (c *company) answered(commands, meanwhile int, took time.Duration) {
	switch {
	case c.tried && 4*meanwhile > commands:
		c.fail()
	case c.tried:
		c.pause /= 2
	}
	c.tried, c.want, c.took = false, 0, took
	if c.skips > 0 {
		c.skips--
		return
	}
	c.want = min(commands+meanwhile, companyMost)
	c.until = time.Now().Add(min(2*took, companyLimit))
}

// patience is how long those who are there wait without another one coming: half of what the last entry took if
// one is there and one is not, and less the more would wait for fewer.
func (c *company) patience(there int) time.Duration {
	return c.took * time.Duration(c.want-there) / time.Duration(2*there)
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
	c.pause = min(max(2*c.pause, fewestSkips), mostSkips)
	c.skips = c.pause
}

// gather waits for the company that the next entry is to have, if anybody is there to wait.
func (q *proposer) gather(ctx context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c, there := &q.company, len(q.queue)
	if there == 0 {
		return
	}
	if c.tried = false; there >= c.want || !time.Now().Before(c.until) {
		c.want = 0
		return
	}
	glance := max(c.took/companyGlance, time.Microsecond)
	look := time.NewTimer(glance)
	defer look.Stop()
	last := time.Now() // somebody came
	for there < c.want && q.bytes < entryBytes && ctx.Err() == nil {
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-look.C:
			look.Reset(glance)
		case <-ctx.Done():
		}
		q.mu.Lock()
		now := time.Now()
		if len(q.queue) > there {
			there, last = len(q.queue), now
		} else if now.Sub(last) >= c.patience(there) {
			break
		}
		if !now.Before(c.until) {
			break
		}
	}
	c.waited(there)
}

// answered notes that an entry is about to be answered.
func (q *proposer) answered(commands int, took time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.company.answered(commands, len(q.queue), took)
}
