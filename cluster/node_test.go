package cluster_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// seeded makes every node's cluster start with clustertest.Entities.
func seeded(cfg *cluster.Config) { cfg.Seed = clustertest.Seed }

func patch(id string) fsm.Command {
	return clustertest.Command(fsm.Bump{Scope: fsm.Patch, EntityID: id, Cascade: true})
}

// revision is that of the registry, as far as a node has come.
func revision(n *clustertest.Node) uint64 {
	r, _ := n.View().Registry(clustertest.Registry)
	return r.Revision()
}

func TestBumpThroughEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		for i := range 30 {
			n := c.Nodes[i%3]
			result, err := n.Propose(t.Context(), patch("component:a"))
			if err != nil || result.Refusal != nil {
				t.Fatalf("bump %d through %s: %v, %v", i, n.ID, err, result.Refusal)
			}
			want := fmt.Sprintf("1.0.%d", i+1)
			if got := result.Transaction.Changes[0].NewVersion; got != want || len(result.Entities) != 2 {
				t.Fatalf("bump %d through %s gave %s and %d entities, want %s and 2", i, n.ID, got, len(result.Entities), want)
			}
			view, err := c.Nodes[(i+1)%3].Read(t.Context(), cluster.ReadOptions{})
			if err != nil {
				t.Fatalf("read %d: %v", i, err)
			}
			r, _ := view.Registry(clustertest.Registry)
			if e, _ := r.Entity("component:a"); e.CurrentVersion != want {
				t.Fatalf("read %d on another node saw %s, want %s", i, e.CurrentVersion, want)
			}
		}
		c.Agree()
	})
}

func TestLeaderStopsAndAnotherLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		old := c.Leader()
		if err := c.Stop(old); err != nil {
			t.Fatalf("graceful stop: %v", err)
		}
		began := time.Now()
		n := c.Leader(old)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("leadership was handed over, but the next leader took %v", took)
		}
		if _, err := n.Propose(t.Context(), patch("component:a")); err != nil {
			t.Fatal(err)
		}
		c.Start(old)
		c.Ready()
		c.Agree()
	})
}
