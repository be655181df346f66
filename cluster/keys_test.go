package cluster_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

func TestClusterMakesAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		want := sameSignature(t, c)
		for _, n := range c.Nodes {
			c.Crash(n)
		}
		for _, n := range c.Nodes {
			c.Start(n)
		}
		c.Ready()
		if got := sameSignature(t, c); got != want {
			t.Errorf("after a restart the signature is %s, it was %s", got, want)
		}
	})
}

// TestNothingIsSignedBeforeTheKeyIsKnown: a node that was started knows its cluster's key only
// once it has read of it, and must not sign with another, or none, until then.
func TestNothingIsSignedBeforeTheKeyIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		n := c.Follower()
		c.Crash(n)
		c.Net.Isolate(n.ID)
		c.Start(n)
		c.Wait("the node does not begin", time.Minute, func() bool { return n.Status().Role == cluster.Candidate })
		if signature, err := n.Sign([]byte("payload")); !errors.Is(err, cluster.ErrNotReady) {
			t.Errorf("it signs %q, %v", signature, err)
		}
		c.Net.Rejoin(n.ID)
		c.Ready()
		sameSignature(t, c)
	})
}

func sameSignature(t *testing.T, c *clustertest.Cluster) string {
	t.Helper()
	var first string
	for i, n := range c.Nodes {
		signature, err := n.Sign([]byte("payload"))
		if err != nil {
			t.Fatalf("%s: %v", n.ID, err)
		}
		if i == 0 {
			first = signature
		} else if signature != first {
			t.Fatalf("%s signs %s, another node %s", n.ID, signature, first)
		}
	}
	return first
}

// TestUnfitNode: a node with other settings than the cluster was founded with
// replicates and votes, but serves nothing, says why, and does not stay the leader.
func TestUnfitNode(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	for _, tc := range []struct {
		name    string
		differ  func(*cluster.Config)
		because string
	}{
		{"another key", func(cfg *cluster.Config) { cfg.SigningKey = []byte("another key of thirty-two bytes!") }, "was started with key"},
		{"no key", func(cfg *cluster.Config) { cfg.SigningKey = nil }, "without a key"},
		{"another registry", func(cfg *cluster.Config) { cfg.RegistryID = "other" }, `"other"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				differs := ""
				c := clustertest.New(t, 3, func(cfg *cluster.Config) {
					seeded(cfg)
					cfg.SigningKey = key
					if cfg.NodeID == differs {
						tc.differ(cfg)
					}
				})
				c.Ready()
				odd := c.Follower()
				c.Stop(odd)
				differs = odd.ID
				c.Start(odd)
				c.Wait("the node does not say why it is not ready", time.Minute, func() bool {
					check, unready := odd.Check()
					return unready && check.Name == "settings" && strings.Contains(check.Detail, tc.because)
				})
				if _, err := odd.Propose(t.Context(), patch("api:a")); !errors.Is(err, cluster.ErrNotReady) {
					t.Errorf("a write there: %v, want not ready", err)
				}
				if _, err := odd.Read(t.Context(), cluster.ReadOptions{Mode: cluster.Stale}); !errors.Is(err, cluster.ErrNotReady) {
					t.Errorf("a read there: %v, want not ready", err)
				}
				if _, err := odd.Sign(nil); !errors.Is(err, cluster.ErrNotReady) {
					t.Errorf("a signature there: %v, want not ready", err)
				}
				// Its vote makes a majority, and a fit node leads.
				fit := c.Follower(odd)
				c.Crash(fit)
				c.Wait("no fit node leads", time.Minute, func() bool {
					leader := c.Leader()
					return leader != odd
				})
				mustBump(t, c.Leader(odd), "api:a", "with its vote")
				c.Agree()
			})
		})
	}
}

// TestPoisonStops: an entry that a node cannot read stops it, with the reason. None is
// skipped, also after a restart.
func TestPoisonStops(t *testing.T) {
	damaged, err := fsm.EncodeEntry(fsm.Entry{Stamp: 1})
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)-1]++
	for name, tc := range map[string]struct {
		entry []byte
		want  error
	}{
		"a newer format": {[]byte{99, 1, 2, 3}, fsm.ErrNewerFormat},
		"damage":         {damaged, fsm.ErrChecksum},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := clustertest.New(t, 3, seeded)
				c.Ready()
				before := c.Agree().StateHash()
				c.Leader().Current().ApplyRaw(tc.entry)
				for range 2 { // as it comes, and after a restart
					// Without a majority the last one may not learn that the entry is committed.
					stopped := 0
					for _, n := range c.Nodes {
						err, ok := c.Ended(n, 10*time.Second)
						if !ok {
							c.Stop(n)
							continue
						}
						stopped++
						if !errors.Is(err, tc.want) {
							t.Errorf("%s stopped because of %v, want %v", n.ID, err, tc.want)
						}
					}
					if stopped < 2 {
						t.Errorf("%d nodes stopped, want a majority at least", stopped)
					}
					for _, n := range c.Nodes {
						if v := n.View(); v.Founded() && v.StateHash() != before {
							t.Errorf("%s went on after the entry", n.ID)
						}
						c.Start(n)
					}
				}
			})
		})
	}
}

// TestMalformedCommandGoesOn: a command that cannot be read, in an entry that can, is
// refused on every node alike and counted.
func TestMalformedCommandGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		entry, err := fsm.JoinEntry(1, [][]byte{{byte(fsm.KindBump), 0xff, 0xff}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Leader().Current().ApplyRaw(entry); err != nil {
			t.Fatal(err)
		}
		mustBump(t, c.Nodes[0], "api:a", "after")
		if got := c.Agree().Malformed(); got != 1 {
			t.Errorf("%d malformed commands were counted, want 1", got)
		}
	})
}
