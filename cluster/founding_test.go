package cluster_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// waitsFor waits until the node says that it is no member and that text is why.
func waitsFor(t *testing.T, c *clustertest.Cluster, n *clustertest.Node, text string) {
	t.Helper()
	c.Wait(n.ID+" does not say "+text, time.Minute, func() bool {
		check, unready := n.Check()
		return unready && check.Name == "member" && strings.Contains(check.Detail, text)
	})
}

func TestFoundingWaitsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, seeded)
		c.Start(c.Nodes[1])
		waitsFor(t, c, c.Nodes[1], "waiting for n1, n3 to answer")
		c.Start(c.Nodes[0])
		waitsFor(t, c, c.Nodes[0], "waiting for n3 to answer")
		<-time.After(10 * time.Minute)
		for _, n := range c.Nodes[:2] {
			if n.View().Founded() {
				t.Fatalf("%s is part of a cluster that n3 knows nothing of", n.ID)
			}
		}
		if _, err := c.Nodes[0].Propose(t.Context(), patch("api:a")); err == nil {
			t.Error("a node that is no member took a command")
		}
		c.Start(c.Nodes[2])
		c.Ready()
		mustBump(t, c.Nodes[2], "api:a", "first")
		c.Agree()
	})
}

// TestFoundingIsRepeatable stops nodes at every moment of the first second.
func TestFoundingIsRepeatable(t *testing.T) {
	for at := range 20 {
		synctest.Test(t, func(t *testing.T) {
			c := clustertest.New(t, 3, seeded)
			<-time.After(time.Duration(at) * 50 * time.Millisecond)
			n := c.Nodes[at%3]
			c.Crash(n)
			<-time.After(5 * time.Second)
			c.Start(n)
			c.Ready()
			mustBump(t, n, "api:a", "first")
			c.Agree()
		})
	}
}

func TestLostDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.New(t, 3, seeded)
		c.Ready()
		mustBump(t, c.Nodes[0], "api:a", "before")
		lost := c.Follower()
		c.Crash(lost)
		lost.Wipe()
		c.Start(lost)
		waitsFor(t, c, lost, "tesd node add "+lost.ID+"="+lost.ID+":9000 --replace")
		mustBump(t, c.Leader(lost), "api:a", "meanwhile")

		// A second one loses its disk: what is left is no majority, and must stay none.
		second := c.Follower(lost)
		survivor := c.Leader(lost)
		c.Crash(second)
		second.Wipe()
		c.Start(second)
		waitsFor(t, c, second, "tesd node add")
		<-time.After(10 * time.Minute)
		for _, n := range []*clustertest.Node{lost, second} {
			if n.View().Founded() {
				t.Errorf("%s founded a cluster beside the survivor", n.ID)
			}
		}
		if role := survivor.Status().Role; role == cluster.Leader {
			t.Error("the survivor leads without a majority")
		}
		if got := versionIn(t, survivor.View(), "api:a"); got != "1.0.2" {
			t.Errorf("the survivor has %s, want 1.0.2", got)
		}
	})
}

func TestOtherPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clustertest.Prepare(t, 3, func(cfg *cluster.Config) {
			if cfg.NodeID == "n3" { // believes that there are only two
				cfg.Peers = []cluster.Peer{cfg.Peers[1], cfg.Peers[2]}
			}
		})
		for _, n := range c.Nodes {
			c.Start(n)
		}
		<-time.After(time.Minute)
		ids := make(map[string]bool)
		for _, n := range c.Nodes {
			if id := n.Status().ClusterID; id != "" {
				ids[id] = true
			}
		}
		if len(ids) > 1 {
			t.Errorf("nodes that disagree on the peers founded %d clusters", len(ids))
		}
	})
}
