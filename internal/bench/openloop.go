package main

import (
	"math/rand/v2"
	"sync"
	"time"
)

// arrived is the rate at which operations that come by the clock are answered: less than they come at if the system, or
// the machine, cannot keep up.
const arrived = "rate reached"

// arrivals are when operations are due that come independently of each other, so many a second: the times between them are
// exponential. They do not move when one is late, so its wait for a client that is free counts as well.
type arrivals struct {
	mu   sync.Mutex
	rng  *rand.Rand
	next time.Time
	rate float64
}

// arriving begins now. The times between are the same in each run.
func arriving(rate float64) *arrivals {
	return &arrivals{rng: rand.New(rand.NewPCG(2, 0)), next: time.Now(), rate: rate}
}

// take returns when the next operation is due that no other client has taken.
func (a *arrivals) take() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next = a.next.Add(time.Duration(a.rng.ExpFloat64() / a.rate * float64(time.Second)))
	return a.next
}
