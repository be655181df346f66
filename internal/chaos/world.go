package chaos

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/watchcheck"
)

// Dial connects to a host and port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Endpoint is where a node serves.
type Endpoint struct{ ID, URL string }

// World is a cluster as its users see it. The exported fields are set before it is used.
type World struct {
	Endpoints []Endpoint
	Dial      func(host string) Dial // how a user at a host of that name connects
	Heartbeat time.Duration          // of the nodes

	// Committed returns a revision that nothing is committed beyond when it is called.
	Committed func(context.Context) uint64

	// Plain watchers ask for no receipts, which make events large.
	Plain bool

	// Hold, if it is not nil, says whether writers have to wait.
	Hold func() bool

	// Mutate, if it is not nil, changes what a watcher at a node is told before it is
	// recorded: a planted fault.
	Mutate func(node string, s watchcheck.Step) []watchcheck.Step

	// SnapshotsTake is how long it may take until a log is compacted; 0 for three minutes.
	SnapshotsTake time.Duration

	known atomic.Uint64 // the highest revision that any user knows of
	fill  atomic.Bool   // users of a run with bumps write much, so that the log is compacted

	mu     sync.Mutex
	counts map[string]int
	faults []error
	acks   []ack
}

// ack is what a writer was told of a write.
type ack struct {
	writer        string
	revision      uint64
	transactionID string
}

func (w *World) patience() time.Duration { return cmp.Or(w.SnapshotsTake, 3*time.Minute) }

// Known returns the highest revision that any user knows of.
func (w *World) Known() uint64 { return w.known.Load() }

// learn notes that a user knows of a revision.
func (w *World) learn(revision uint64) {
	for {
		old := w.known.Load()
		if revision <= old || w.known.CompareAndSwap(old, revision) {
			return
		}
	}
}

// acknowledge notes what a writer was told.
func (w *World) acknowledge(a ack) {
	if a.transactionID == "" { // a put that changed nothing
		return
	}
	w.learn(a.revision)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acks = append(w.acks, a)
}

// Count counts things that happened.
func (w *World) Count(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts == nil {
		w.counts = make(map[string]int)
	}
	w.counts[what] += n
}

// Fault counts a fault, apart from others if it had no effect.
func (w *World) Fault(name string, bit bool) {
	if !bit {
		name = ineffective + name
	}
	w.Count(name, 1)
}

// Counts returns what was counted.
func (w *World) Counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// Fail notes something that must not happen, other than what a stream shows.
func (w *World) Fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 20 {
		w.faults = append(w.faults, fmt.Errorf(format, args...))
	}
}

// Failures returns what was noted by [World.Fail].
func (w *World) Failures() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.faults)
}

// Compare holds what writers were told against the history: each write is there, as it was
// told, and no two of them are one transaction.
func (w *World) Compare(h *watchcheck.History) (faults []error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	given := make(map[uint64]string)
	for _, a := range w.acks {
		switch {
		case a.revision == 0 || a.revision > uint64(len(h.Transactions)):
			faults = append(faults, fmt.Errorf("%s was told of revision %d, which is not there", a.writer, a.revision))
		case h.Transactions[a.revision-1].TransactionID != a.transactionID:
			faults = append(faults, fmt.Errorf("%s was told of another transaction at revision %d", a.writer, a.revision))
		case given[a.revision] != "":
			faults = append(faults, fmt.Errorf("revision %d is the answer to %s and to %s", a.revision, given[a.revision], a.writer))
		}
		given[a.revision] = a.writer
	}
	return faults
}

// Client returns a client of a user at a host, of all endpoints in random order, and what
// releases its connections.
func (w *World) Client(host string, rng *rand.Rand, keyed bool) (*client.Client, func(), error) {
	var urls []string
	for _, i := range rng.Perm(len(w.Endpoints)) {
		urls = append(urls, w.Endpoints[i].URL)
	}
	transport := w.transport(host)
	h := &http.Client{Transport: transport}
	if !keyed {
		h.Transport = keyless{transport}
	}
	c, err := client.New(urls, client.WithHTTPClient(h))
	return c, transport.CloseIdleConnections, err
}

func (w *World) transport(host string) *http.Transport {
	return &http.Transport{DialContext: w.Dial(host), MaxIdleConnsPerHost: 4}
}

// TypeOf returns the type of an entity of a run by its id, which begins with it.
func TypeOf(id string) string {
	kind, _, _ := strings.Cut(id, ":")
	if kind == "api" {
		return "api-scope"
	}
	return kind
}

// pause waits for d or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// upTo returns a random duration below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d)))
}
