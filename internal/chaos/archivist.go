package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/watchcheck"
)

// Archivist reads the history of a world as it grows, before it is compacted. It is for
// clusters whose logs the test cannot see. What it reads is proven by its chain of hashes.
type Archivist struct {
	c       *client.Client
	release func()
	end     context.CancelFunc
	group   sync.WaitGroup

	transactions []watchcheck.Transaction
	revision     atomic.Uint64
	err          error
}

// Archive begins to read the history.
func (w *World) Archive() (*Archivist, error) {
	c, release, err := w.Client("archivist", rand.New(rand.NewPCG(1, 5)), false)
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	a := &Archivist{c: c, release: release, end: end}
	a.group.Go(func() {
		for ctx.Err() == nil {
			if more := a.read(ctx); !more {
				pause(ctx, 20*time.Millisecond)
			}
		}
	})
	return a, nil
}

// Revision returns the revision that was read last.
func (a *Archivist) Revision() uint64 { return a.revision.Load() }

// read reads a page. It reports whether there may be more.
func (a *Archivist) read(ctx context.Context) (more bool) {
	const portion = 200
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // a node that hangs must not hold it up
	defer cancel()
	page, err := a.c.History(ctx, client.HistoryOptions{After: a.revision.Load(), Limit: portion, Receipts: true})
	if err != nil {
		if e, ok := errors.AsType[*client.Error](err); ok && e.Code == client.CodeRevisionCompacted {
			a.err = fmt.Errorf("the archive is behind: %w", err)
		}
		return false
	}
	for i := range page.Events {
		e := &page.Events[i]
		var signed struct {
			PreviousHash string `json:"previousHash"`
		}
		if err := json.Unmarshal([]byte(e.Payload), &signed); err != nil {
			a.err = fmt.Errorf("reading a receipt: %w", err)
			return false
		}
		a.transactions = append(a.transactions, watchcheck.Transaction{Event: EventOf(e), PreviousHash: signed.PreviousHash})
		a.revision.Store(e.Revision)
	}
	return page.Next > 0
}

// History ends the reading, at a revision, and returns what was read. keep is how many
// transactions the cluster keeps, 0 for all; none of them may have an idempotency key then.
func (a *Archivist) History(revision, keep uint64) (*watchcheck.History, error) {
	for end := time.Now().Add(time.Minute); a.Revision() < revision && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	a.end()
	a.group.Wait()
	a.release()
	if a.err != nil {
		return nil, a.err
	}
	if a.Revision() < revision {
		return nil, fmt.Errorf("the archive ends at revision %d, not %d", a.Revision(), revision)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	health, err := a.c.Health(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for the cluster's id: %w", err)
	}
	a.release()
	h := &watchcheck.History{ClusterID: health.ClusterID, Transactions: a.transactions}
	for r := uint64(0); r <= a.Revision() && keep > 0; r++ {
		h.Oldest = append(h.Oldest, max(r, keep)-keep+1)
	}
	h.TypeOf = TypeOf
	return h, h.Check()
}
