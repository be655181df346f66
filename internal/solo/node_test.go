package solo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/solo"
)

const registry = "r"

func newNode() *solo.Node {
	return solo.New(solo.Config{
		NodeID: "n1", HTTPAddress: "127.0.0.1:8001", Now: time.Now,
		ClusterID: "c", Registry: registry, Key: []byte("k"),
	})
}

func put(t *testing.T, n *solo.Node, id string) {
	t.Helper()
	result, err := n.Propose(t.Context(), fsm.Command{Registry: registry, Actor: "a", Op: fsm.Put{Entity: fsm.Entity{
		ID: id, Type: fsm.TypeGlobal, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: id,
	}}})
	if err != nil || result.Refusal != nil {
		t.Fatal(err, result.Refusal)
	}
}

// TestReadWaits for the revision that it is to have, of its own registry, as long as it may.
func TestReadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode()
		read := make(chan uint64)
		go func() {
			view, err := n.Read(t.Context(), cluster.ReadOptions{Registry: registry, MinRevision: 2})
			if err != nil {
				t.Error(err)
			}
			r, _ := view.Registry(registry)
			read <- r.Revision()
		}()
		for _, id := range []string{"a", "b"} {
			synctest.Wait()
			select {
			case at := <-read:
				t.Errorf("it read revision %d", at)
			default:
			}
			put(t, n, id)
		}
		if at := <-read; at != 2 {
			t.Errorf("it read revision %d, want 2", at)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, o := range []cluster.ReadOptions{{Registry: registry, MinRevision: 3}, {Registry: "other", MinRevision: 1}} {
			if _, err := n.Read(ctx, o); !errors.Is(err, cluster.ErrNotReady) || ctx.Err() == nil {
				t.Errorf("%+v: got %v", o, err)
			}
		}
	})
}

func TestStatus(t *testing.T) {
	n := newNode()
	put(t, n, "a")
	got := n.Status()
	if got.NodeID != "n1" || got.Role != cluster.Leader || got.Leader != "n1" || got.ClusterID != "c" || got.AppliedIndex != 2 || len(got.StateHash) != 64 {
		t.Errorf("status is %+v", got)
	}
	members := n.Members(t.Context())
	if len(members) != 1 || members[0].ID != "n1" || members[0].Status.StateHash != got.StateHash {
		t.Errorf("members are %+v", members)
	}
	if keyID := n.View().Cluster().KeyID; keyID != client.KeyID([]byte("k")) {
		t.Errorf("the key's id is %q", keyID)
	}
	for _, err := range []error{n.AddNode(t.Context(), "n2", "a:1", false), n.RemoveNode(t.Context(), "n1"), n.TransferLeadership(t.Context(), "")} {
		if !errors.Is(err, cluster.ErrMembership) {
			t.Errorf("the membership changes with %v", err)
		}
	}
	if checks := n.Ready(); !checks[0].OK {
		t.Errorf("checks are %+v", checks)
	}
	unfounded := solo.New(solo.Config{Now: time.Now})
	if checks := unfounded.Ready(); checks[0].OK || unfounded.View().Founded() {
		t.Errorf("unfounded, checks are %+v", checks)
	}
}
