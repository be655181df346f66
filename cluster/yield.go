package cluster

import (
	"runtime"
	"time"
)

const (
	yieldTurns = 5                // in a row, that bring nobody
	yieldLimit = time.Millisecond // no turn begins after it, however many come
)

// yield lets those come who are about to, so that they share what begins next: other goroutines go first until
// some turns in a row have brought nobody, until so many wait as are enough, or until the limit is over. Whoever
// comes alone after another who came alone, last being how many that were, does not wait: each turn wakes a thread
// that looks for work. A timer would take too long, since threads may be woken a millisecond late.
func yield(waiting func() int, last, enough int) {
	had := waiting()
	if had <= 1 && last <= 1 {
		return
	}
	began := time.Now()
	for idle := 0; idle < yieldTurns && had < enough && time.Since(began) < yieldLimit; idle++ {
		runtime.Gosched()
		if now := waiting(); now > had {
			had, idle = now, -1
		}
	}
}
