package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/e2e"
)

var binary string // immutable: set once by TestMain

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tesd-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		if binary, err = e2e.Build(dir); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// example is the registry that the clusters of these tests start with.
const example = "../../cmd/tesd/example-registry.json"

// hot is an entity of the example without children.
const hot = "global:hot"

// hotCluster is a cluster whose registry holds one entity, at 1.0.0.
func hotCluster(t *testing.T) *e2e.Cluster {
	t.Helper()
	c := e2e.New(t, binary)
	_, err := c.Client().Migrate(t.Context(), client.MigrateRequest{Source: "test", Entities: []client.Entity{{
		ID: hot, Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", Files: []client.File{}, DisplayName: "Hot",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// acknowledged collects the answers that clients got.
type acknowledged struct {
	mu       sync.Mutex
	versions map[string]uint64 // version -> revision
	unknown  int
}

func (a *acknowledged) add(t *testing.T, r *client.BumpResponse, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case errors.Is(err, client.ErrUnknownOutcome):
		a.unknown++
	case err != nil:
		t.Errorf("a bump failed: %v", err)
	default:
		version := *r.Changes[0].NewVersion
		if other, twice := a.versions[version]; twice {
			t.Errorf("version %s was given twice, at revisions %d and %d", version, other, r.Revision)
		}
		a.versions[version] = r.Revision
	}
}

// check holds the answers against the history: each is there under its revision, no
// version stands twice or is skipped, and what is there without an answer had an
// unknown outcome.
func (a *acknowledged) check(t *testing.T, c *e2e.Cluster) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var events []client.Event
	for _, n := range c.Nodes {
		own := history(t, c.Client(n))
		if events != nil {
			if diff := cmp.Diff(events, own); diff != "" {
				t.Fatalf("the history of %s differs:\n%.2000s", n.ID, diff)
			}
		}
		events = own
	}
	found := make(map[string]uint64)
	for i, e := range events[1:] { // the first is the migrate
		want := fmt.Sprintf("1.0.%d", i+1)
		if got := *e.Changes[0].NewVersion; got != want {
			t.Fatalf("revision %d gave version %s, want %s", e.Revision, got, want)
		}
		found[want] = e.Revision
	}
	for version, revision := range a.versions {
		if found[version] != revision {
			t.Errorf("version %s was acknowledged at revision %d, the history has it at %d", version, revision, found[version])
		}
	}
	if extra := len(found) - len(a.versions); extra > a.unknown {
		t.Errorf("%d transactions were never acknowledged, but only %d outcomes were unknown", extra, a.unknown)
	}
	if _, err := (client.Verifier{}).VerifyHistory(events); err != nil {
		t.Errorf("the history does not verify: %v", err)
	}
	t.Logf("%d acknowledged, %d unknown, %d in the history", len(a.versions), a.unknown, len(found))
}

func history(t *testing.T, cl *client.Client) []client.Event {
	t.Helper()
	var all []client.Event
	for {
		after := uint64(len(all))
		page, err := cl.History(t.Context(), client.HistoryOptions{After: after, Receipts: true})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Events...)
		if len(page.Events) == 0 || all[len(all)-1].Revision == page.Revision {
			return all
		}
	}
}

func TestLeaderKilledUnderLoad(t *testing.T) {
	const clients, kills = 64, 5
	bumps := 5000
	if testing.Short() {
		bumps = 1000
	}
	c := hotCluster(t)
	answers := &acknowledged{versions: make(map[string]uint64)}
	tokens := make(chan struct{}, bumps) // one for each bump that may begin
	var done atomic.Int64
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			// Each client starts at another node and goes on to the others by itself.
			cl := c.Client(c.Nodes[i%3], c.Nodes[(i+1)%3], c.Nodes[(i+2)%3])
			for range tokens {
				r, err := cl.Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: hot})
				answers.add(t, r, err)
				done.Add(1)
			}
		})
	}
	begun := int64(0)
	begin := func(n int) {
		for range n {
			tokens <- struct{}{}
		}
		begun += int64(n)
	}
	for range kills {
		leader := c.Leader()
		begin(bumps / kills)
		c.Wait("the load makes no progress", time.Minute, func() bool { return done.Load() > begun-int64(bumps/kills) })
		if done.Load() == begun {
			t.Error("the leader is killed without load")
		}
		c.Kill(leader)
		c.Wait("the bumps under way do not end without the old leader", time.Minute, func() bool { return done.Load() == begun })
		c.Start(leader)
		c.Ready()
	}
	close(tokens)
	group.Wait()
	status := c.Status()
	answers.check(t, c)
	t.Logf("all nodes at applied index %d with state hash %s", *status.Nodes[0].AppliedIndex, *status.Nodes[0].StateHash)
}

func TestAllKilledAtOnce(t *testing.T) {
	c := hotCluster(t)
	answers := &acknowledged{versions: make(map[string]uint64)}
	for range 3 {
		var group sync.WaitGroup
		for i := range 16 {
			group.Go(func() {
				cl := c.Client(c.Nodes[i%3])
				for range 20 {
					r, err := cl.Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: hot})
					answers.add(t, r, err)
				}
			})
		}
		group.Wait()
		c.Kill(c.Nodes...)
		for _, n := range c.Nodes {
			c.Start(n)
		}
		c.Ready()
	}
	c.Status()
	answers.check(t, c)
	if len(answers.versions) != 3*16*20 {
		t.Errorf("%d bumps were acknowledged, want %d", len(answers.versions), 3*16*20)
	}
}

func TestFollowersSeeAcknowledgedWrites(t *testing.T) {
	const workers = 32
	tries := int64(10_000)
	if testing.Short() {
		tries = 2_000
	}
	c := e2e.New(t, binary, "--registry-file", example)
	registry, err := c.Client().Registry(t.Context(), client.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var clients []*client.Client
	for _, n := range c.Nodes {
		clients = append(clients, c.Client(n))
	}
	var begun atomic.Int64
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			id := registry.Entities[w%len(registry.Entities)].ID
			for i := begun.Add(1); i <= tries && !t.Failed(); i = begun.Add(1) {
				bump, err := clients[i%3].Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: id, Cascade: new(false)})
				if err != nil {
					t.Errorf("try %d: %v", i, err)
					return
				}
				read, err := clients[(i+1+i/3%2)%3].Entity(t.Context(), id)
				if err != nil {
					t.Errorf("try %d: %v", i, err)
				} else if read.Revision < bump.Revision {
					t.Errorf("try %d: a read after revision %d saw revision %d", i, bump.Revision, read.Revision)
				}
			}
		})
	}
	group.Wait()
	c.Status()
}

func TestSameAnswersThroughAllNodes(t *testing.T) {
	c := e2e.New(t, binary, "--registry-file", example)
	for i, n := range c.Nodes {
		var plans []*client.BumpResponse
		for _, m := range c.Nodes {
			plan, err := c.Client(m).Bump(t.Context(), client.BumpRequest{Scope: client.Minor, DryRun: true})
			if err != nil {
				t.Fatal(err)
			}
			plans = append(plans, plan)
		}
		bump, err := c.Client(n).Bump(t.Context(), client.BumpRequest{Scope: client.Minor}, client.IfMatch(plans[0].Revision))
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range plans {
			if diff := cmp.Diff(plan.Changes, bump.Changes); diff != "" {
				t.Errorf("round %d: the plan differs from the bump:\n%s", i, diff)
			}
		}
		signatures := make(map[string]bool)
		for _, m := range c.Nodes {
			receipt, err := c.Client(m).Receipt(t.Context(), bump.Revision)
			if err != nil {
				t.Fatal(err)
			}
			signatures[receipt.Signature] = true
		}
		if got := slices.Collect(maps.Keys(signatures)); len(got) != 1 || got[0] != bump.Signature {
			t.Errorf("round %d: receipts are signed %q, the answer %q", i, got, bump.Signature)
		}
	}
}

func TestGracefulStopHandsOver(t *testing.T) {
	c := hotCluster(t)
	for range 3 {
		leader := c.Leader()
		if err := c.Stop(leader); err != nil {
			t.Fatalf("stopping the leader: %v", err)
		}
		began := time.Now()
		if _, err := c.Client().Bump(t.Context(), client.BumpRequest{Scope: client.Patch, EntityID: hot}); err != nil {
			t.Fatal(err)
		}
		t.Logf("a bump after the leader had stopped took %v", time.Since(began))
		c.Start(leader)
		c.Ready()
	}
	c.Status()
}
