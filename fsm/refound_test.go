package fsm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
)

// payloads returns the kept payloads of a registry by revision.
func payloads(t *testing.T, v fsm.View, registry string) map[uint64]string {
	t.Helper()
	r, _ := v.Registry(registry)
	all := make(map[uint64]string)
	for tx, err := range r.History(0) {
		if err != nil {
			t.Fatal(err)
		}
		all[tx.Revision] = string(tx.Payload())
	}
	return all
}

// TestRefound takes a state through two restorations: what was signed stays as it was, the
// chain goes on, keys answer as before, and new transactions are the new cluster's.
func TestRefound(t *testing.T) {
	for _, keep := range []uint64{0, 3, 300} {
		t.Run(fmt.Sprint("keep ", keep), func(t *testing.T) {
			m := smallMachine(keep, 700)
			bump := fsm.Command{Registry: defaultRegistry, Key: "once", Op: fsm.Bump{Scope: fsm.Patch, EntityID: "global:main"}}
			first := apply(m, bump)[0]
			signed, cluster := payloads(t, m.View(), defaultRegistry), m.View().Cluster().ClusterID
			for _, next := range []string{"second", "third"} {
				before := m.View().StateHash()
				m = restore(t, snapshot(t, m.View()))
				if err := m.Refound(next); err != nil {
					t.Fatal(err)
				}
				if m.View().StateHash() != before || m.View().Cluster().ClusterID != next {
					t.Errorf("the state of cluster %s is another one", m.View().Cluster().ClusterID)
				}
				if again := apply(m, bump)[0]; !again.Replayed || string(again.Transaction.Payload()) != string(first.Transaction.Payload()) || again.Transaction.ClusterID != cluster {
					t.Errorf("the key's answer is another one: %+v", again)
				}
				r, _ := m.View().Registry(defaultRegistry)
				head := r.LastHash()
				tx := apply(m, fsm.Command{Registry: defaultRegistry, Op: bump.Op})[0].Transaction
				if tx.ClusterID != next || tx.PreviousHash != head || !strings.Contains(string(tx.Payload()), `"clusterId":"`+next+`"`) {
					t.Errorf("the next transaction is %s", tx.Payload())
				}
				m = restore(t, snapshot(t, m.View()))
				now := payloads(t, m.View(), defaultRegistry)
				for revision, payload := range now {
					if was, ok := signed[revision]; ok && was != payload {
						t.Fatalf("revision %d was\n%s\nand is\n%s", revision, was, payload)
					}
				}
				if now[tx.Revision] != string(tx.Payload()) {
					t.Errorf("the history has another transaction:\n%s", now[tx.Revision])
				}
				signed = now
			}
		})
	}
}

// TestRefoundTwice refounds a state to which nothing has been committed since.
func TestRefoundTwice(t *testing.T) {
	m := smallMachine(0, 5)
	was := payloads(t, m.View(), defaultRegistry)
	for _, next := range []string{"second", "third"} {
		if err := m.Refound(next); err != nil {
			t.Fatal(err)
		}
	}
	m = restore(t, snapshot(t, m.View()))
	for revision, payload := range payloads(t, m.View(), defaultRegistry) {
		if payload != was[revision] {
			t.Errorf("revision %d is now\n%s", revision, payload)
		}
	}
}

func TestRefoundRefuses(t *testing.T) {
	if err := fsm.New().Refound("new"); err == nil {
		t.Error("a cluster that was never founded was refounded")
	}
	m := smallMachine(0, 0)
	for _, id := range []string{"", m.View().Cluster().ClusterID} {
		if err := m.Refound(id); err == nil {
			t.Errorf("cluster id %q was taken", id)
		}
	}
}
