package chaos_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/feed"
	"github.com/tesd/tesd/internal/watchcheck"
)

type mutation = func(chaos.Peek, string, watchcheck.Step) []watchcheck.Step

// TestPlantedFaults has the harness find mistakes that a server could make, each by the name
// of the property that it breaks.
func TestPlantedFaults(t *testing.T) {
	tests := []struct {
		name   string
		finds  string // what a violation or a failure must say
		plant  func(*testing.T, *chaos.Options)
		faults []string
	}{
		{"resume one too far", "resumable: ", func(_ *testing.T, o *chaos.Options) { shiftSince(o, +1) }, nil},
		{"resume one too early", "resumable: ", func(_ *testing.T, o *chaos.Options) { shiftSince(o, -1) }, nil},
		{"twice after a snapshot", "unique: ", func(_ *testing.T, o *chaos.Options) { o.Mutate = repeatAfterSnapshot() }, []string{chaos.FaultSnapshot}},
		{"one lost at a snapshot", "reliable: ", func(_ *testing.T, o *chaos.Options) { o.Mutate = loseAtSnapshot() }, []string{chaos.FaultSnapshot}},
		{"wake-ups lost", "is not told at once: ", func(t *testing.T, o *chaos.Options) { o.Seams.Node = loseWakeups(t) }, nil},
		{"bookmarks ahead of events", "bookmarkable: ", func(_ *testing.T, o *chaos.Options) { o.Mutate = bookmarkOfNode }, nil},
		{"hello before the read index", "fresh: ", func(_ *testing.T, o *chaos.Options) { o.Seams.Node = readWhatIsThere },
			[]string{chaos.FaultBehind, chaos.FaultBehind}},
		{"a gap where none is", "true gap: ", func(_ *testing.T, o *chaos.Options) { o.Mutate = gapTooEarly() }, nil},
		{"a filter that is forgotten", "filtered: ", func(_ *testing.T, o *chaos.Options) { o.Seams.Handler = forgetFilter }, nil},
		{"two transactions in one", "atomic: ", func(_ *testing.T, o *chaos.Options) { o.Mutate = mergeChanges() }, nil},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := chaos.Options{Seed: uint64(100 + i), Rounds: 1, Watchers: 5, Faults: test.faults, CatchUp: 20 * time.Second}
				if o.Faults == nil {
					o.Faults = []string{chaos.FaultBehind, chaos.FaultLeaderCrash}
				}
				test.plant(t, &o)
				r := chaos.Run(t, o)
				all, found := append(r.Violations, r.Failures...), 0
				for _, err := range all {
					if strings.Contains(err.Error(), test.finds) {
						if found++; found == 1 {
							t.Logf("found: %v", err)
						}
					}
				}
				t.Logf("%d of %d findings say so", found, len(all))
				if found == 0 {
					t.Errorf("the fault is not found: %v", all)
				}
			})
		})
	}
}

// shiftSince has the server begin at another place than it says.
func shiftSince(o *chaos.Options, by int) {
	o.Seams.Handler = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if since, err := strconv.Atoi(q.Get("since")); err == nil && since > 0 {
				q.Set("since", strconv.Itoa(since+by))
				r.URL.RawQuery = q.Encode()
			}
			h.ServeHTTP(w, r)
		})
	}
	o.Mutate = func(_ chaos.Peek, _ string, s watchcheck.Step) []watchcheck.Step {
		if s.Kind == watchcheck.Hello && s.Revision > 1 {
			s.Revision -= uint64(by)
		}
		return []watchcheck.Step{s}
	}
}

// afterSnapshot tells, once for each snapshot and node, that it is time for a mistake.
func afterSnapshot() func(chaos.Peek, string) bool {
	var mu sync.Mutex
	seen := make(map[string]int)
	return func(v chaos.Peek, node string) bool {
		mu.Lock()
		defer mu.Unlock()
		given := v.Given()
		due := given > seen[node]
		seen[node] = given
		return due
	}
}

// repeatAfterSnapshot tells an event again after a node was given a snapshot.
func repeatAfterSnapshot() mutation {
	due := afterSnapshot()
	return func(v chaos.Peek, node string, s watchcheck.Step) []watchcheck.Step {
		if s.Kind == watchcheck.Told && due(v, node) {
			return []watchcheck.Step{s, s}
		}
		return []watchcheck.Step{s}
	}
}

// loseAtSnapshot leaves an event out after a node was given a snapshot.
func loseAtSnapshot() mutation {
	due := afterSnapshot()
	return func(v chaos.Peek, node string, s watchcheck.Step) []watchcheck.Step {
		if s.Kind == watchcheck.Told && due(v, node) {
			return nil
		}
		return []watchcheck.Step{s}
	}
}

// bookmarkOfNode has bookmarks tell what the node has, not what the watcher was told.
func bookmarkOfNode(v chaos.Peek, node string, s watchcheck.Step) []watchcheck.Step {
	if s.Kind == watchcheck.Bookmark {
		s.Revision = max(s.Revision, v.Revision(node))
	}
	return []watchcheck.Step{s}
}

// gapTooEarly tells one in eight that what it wants is compacted.
func gapTooEarly() mutation {
	var greeted atomic.Int64
	return func(v chaos.Peek, node string, s watchcheck.Step) []watchcheck.Step {
		if s.Kind == watchcheck.Hello && greeted.Add(1)%8 == 0 {
			at := v.Revision("any")
			return []watchcheck.Step{{Kind: watchcheck.Gap, Code: watchcheck.Compacted, Oldest: at + 1, Ceiling: at}}
		}
		return []watchcheck.Step{s}
	}
}

// mergeChanges tells, now and then, the changes of two transactions as one.
func mergeChanges() mutation {
	var mu sync.Mutex
	held := make(map[string]watchcheck.Step)
	return func(_ chaos.Peek, node string, s watchcheck.Step) []watchcheck.Step {
		mu.Lock()
		defer mu.Unlock()
		if s.Kind != watchcheck.Told {
			return []watchcheck.Step{s}
		}
		if last, ok := held[node]; ok && last.Revision+1 == s.Revision && s.Revision%50 == 0 {
			e := *s.Event
			e.Changes = append(append([]watchcheck.Change(nil), last.Event.Changes...), e.Changes...)
			s.Event = &e
		}
		held[node] = s
		return []watchcheck.Step{s}
	}
}

// forgetFilter has the server filter nothing.
func forgetFilter(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		q.Del("entity")
		q.Del("type")
		r.URL.RawQuery = q.Encode()
		h.ServeHTTP(w, r)
	})
}

// hasty is a node that answers each read with what it has.
type hasty struct{ httpapi.Node }

func readWhatIsThere(_ string, n httpapi.Node) httpapi.Node { return hasty{n} }

func (n hasty) Read(context.Context, cluster.ReadOptions) (fsm.View, error) { return n.View(), nil }

// sleepy is a node with a feed of its own that sometimes forgets to wake those who wait.
type sleepy struct {
	httpapi.Node
	feed *feed.Feed
}

// Feed returns the node's own feed.
func (n sleepy) Feed() *feed.Feed { return n.feed }

func loseWakeups(t *testing.T) func(string, httpapi.Node) httpapi.Node {
	return func(_ string, n httpapi.Node) httpapi.Node {
		s := sleepy{n, feed.New(n.View())}
		go s.relay(t.Context())
		return s
	}
}

// relay publishes what the true feed has.
func (n sleepy) relay(ctx context.Context) {
	var cursor *feed.Cursor
	for {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return
		}
		view := n.View()
		r, ok := view.Registry(clustertest.Registry)
		if ok && cursor == nil {
			cursor = n.Node.Feed().Open(clustertest.Registry, r.Revision())
			n.feed.Publish(view)
		}
		if cursor == nil {
			continue
		}
		items, err := cursor.Take(256)
		if err != nil || len(items) == 0 {
			continue
		}
		var results []fsm.Result
		for _, i := range items {
			results = append(results, fsm.Result{Registry: clustertest.Registry, Revision: i.Transaction.Revision, Transaction: i.Transaction})
		}
		n.feed.Publish(view, results)
		if cursor.After()%3 > 0 {
			n.feed.Tell()
		}
	}
}
