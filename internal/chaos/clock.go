package chaos

import (
	"sync/atomic"
	"time"
)

// clock is the time of day at one node.
type clock struct {
	ahead atomic.Int64 // nanoseconds; negative if it is behind
	asked atomic.Int64 // how often it was asked while it was not right
}

func (c *clock) now() time.Time {
	ahead := c.ahead.Load()
	if ahead != 0 {
		c.asked.Add(1)
	}
	return time.Now().Add(time.Duration(ahead))
}
