package chaos

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/tesd/tesd/client"
)

// Finish has every watcher of a cluster that is well again catch up, and then holds the
// cluster to telling them at once: within prompt after the answer to a bump that all of them
// are told of. It returns how long that took at worst. Writers must have stopped.
//
// That a watcher is told at all is a matter of its stream. That it is told before the next
// heartbeat, which would wake a watch that was forgotten, is what this is for.
func (w *World) Finish(watchers *Watchers, seed uint64, catchUp, prompt time.Duration) (slowest time.Duration) {
	watchers.Settle()
	c, release, err := w.Client("bumper", rand.New(rand.NewPCG(seed, 3)), false)
	if err != nil {
		w.Fail("%w", err)
		return 0
	}
	defer release()
	end, caughtUp := time.Now().Add(catchUp), false
	for i := 0; i < 5; {
		revision, err := bumpAll(c)
		if err != nil {
			w.Fail("a bump when all is well: %w", err)
			return slowest
		}
		if !caughtUp {
			// One that begins with what comes from now on shows where it is by the next bump.
			name, ok := watchers.reach(revision, catchUp/20)
			if caughtUp = ok; !ok && time.Now().After(end) {
				w.Fail("%s does not catch up", name)
				return slowest
			}
			continue
		}
		began := time.Now()
		name, ok := watchers.reach(revision, catchUp)
		took := time.Since(began)
		slowest = max(slowest, took)
		if !ok || took > prompt {
			w.Fail("revision %d is not told at once: it takes %v until all watchers have it %s", revision, took, name)
		}
		i++
	}
	return slowest
}

// bumpAll bumps everything that is linked to the global entity.
func bumpAll(c *client.Client) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch, EntityID: "global:main"})
	if err != nil {
		return 0, err
	}
	return r.Revision, nil
}

// reach waits until every watcher was told of everything up to a revision, for limit at most.
// If one was not, ok is false and name says which.
func (ws *Watchers) reach(revision uint64, limit time.Duration) (name string, ok bool) {
	for end := time.Now().Add(limit); ; <-time.After(5 * time.Millisecond) {
		name, behind := ws.Behind(revision)
		if !behind || time.Now().After(end) {
			return name, !behind
		}
	}
}
