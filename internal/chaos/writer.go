package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tesd/tesd/client"
)

// Writers are some who write to a world.
type Writers struct {
	stop  chan struct{}
	group sync.WaitGroup
}

// writer writes one request after the other, through any node.
type writer struct {
	w       *World
	name    string
	rng     *rand.Rand
	c       *client.Client
	keyed   bool
	reason  int // bytes of text that go with a bump
	batch   int // requests of a batch
	created []string
}

// Load says how much writers write.
type Load struct {
	Writers int
	Pause   time.Duration // up to so long between two requests
	Keyed   bool          // with idempotency keys: what is unknown is repeated
	Reason  int           // bytes of text that go with a bump
	Batch   int           // most requests of a batch
}

// Write has some write to the world until they are stopped.
func (w *World) Write(seed uint64, l Load) (*Writers, error) {
	ws := &Writers{stop: make(chan struct{})}
	for i := range l.Writers {
		n := &writer{
			w: w, name: fmt.Sprintf("writer-%d", i), rng: rand.New(rand.NewPCG(seed, uint64(10_000+i))),
			keyed: l.Keyed, reason: l.Reason, batch: max(l.Batch, 1),
		}
		c, release, err := w.Client(n.name, n.rng, l.Keyed)
		if err != nil {
			return nil, err
		}
		n.c = c
		ws.group.Go(func() {
			defer release()
			for k := 0; ; k++ {
				select {
				case <-ws.stop:
					return
				case <-time.After(upTo(n.rng, l.Pause)):
					if w.Hold == nil || !w.Hold() {
						n.write(k)
					}
				}
			}
		})
	}
	return ws, nil
}

// Stop stops the writers, once what they have under way is answered.
func (ws *Writers) Stop() {
	close(ws.stop)
	ws.group.Wait()
}

// write writes once. With a key it repeats until the outcome is known, for long enough.
func (n *writer) write(k int) {
	do := n.choose(k)
	key := client.IdempotencyKey(fmt.Sprintf("%s/%d", n.name, k))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for {
		revision, id, err := do(ctx, key)
		switch {
		case err == nil:
			n.w.Count("writes", 1)
			n.w.acknowledge(ack{n.name, revision, id})
			return
		case errors.Is(err, client.ErrUnknownOutcome):
			n.w.Count("unknown outcomes", 1)
		case ctx.Err() != nil, !transient(err) && n.keyed:
			n.w.Fail("%s, write %d: %w", n.name, k, err)
			return
		default:
			n.w.Count("refused writes", 1)
		}
		if !n.keyed {
			return
		}
		pause(ctx, upTo(n.rng, 100*time.Millisecond))
	}
}

// transient reports whether a write may succeed later.
func transient(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	return ok && (e.Status == 0 || e.Status >= 500)
}

// text is what goes with a bump: of its own, so that it takes room in the log.
func (n *writer) text() string {
	b := make([]byte, n.reason)
	for i := range b {
		b[i] = byte('!' + n.rng.IntN(90))
	}
	return string(b)
}

// choose makes up a write.
func (n *writer) choose(k int) func(context.Context, client.WriteOption) (uint64, string, error) {
	ids := []string{"global:main", "component:a", "component:b", "api:a"}
	bump := func() client.BumpRequest {
		return client.BumpRequest{
			Scope: client.Patch, EntityID: ids[n.rng.IntN(len(ids))], Cascade: new(n.rng.IntN(3) == 0), Reason: n.text(),
		}
	}
	chance := n.rng.IntN(20)
	switch {
	case n.batch > 1 && chance < 6:
		var req client.BatchRequest
		for range 2 + n.rng.IntN(n.batch-1) {
			req.Requests = append(req.Requests, bump())
		}
		return func(ctx context.Context, key client.WriteOption) (uint64, string, error) {
			r, err := n.c.Batch(ctx, req, key)
			if err != nil {
				return 0, "", err
			}
			return r.Revision, r.TransactionID, nil
		}
	case chance < 8 && len(n.created) > 0 && n.keyed:
		id := n.created[0]
		n.created = n.created[1:]
		return func(ctx context.Context, key client.WriteOption) (uint64, string, error) {
			r, err := n.c.Delete(ctx, id, key)
			if err != nil {
				return 0, "", err
			}
			return r.Revision, r.TransactionID, nil
		}
	case chance < 10 && n.keyed:
		e := client.Entity{
			ID: fmt.Sprintf("documentation:%s-%d", n.name, k), Type: "documentation", CurrentVersion: "1.0.0",
			UpdateStrategy: "independent", ParentVersionID: "component:a", DisplayName: "Made and deleted",
		}
		n.created = append(n.created, e.ID)
		return func(ctx context.Context, key client.WriteOption) (uint64, string, error) {
			r, err := n.c.Put(ctx, e, key)
			if err != nil {
				return 0, "", err
			}
			return r.Revision, r.TransactionID, nil
		}
	}
	req := bump()
	return func(ctx context.Context, key client.WriteOption) (uint64, string, error) {
		r, err := n.c.Bump(ctx, req, key)
		if err != nil {
			return 0, "", err
		}
		return r.Revision, r.TransactionID, nil
	}
}
