package cluster_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/clustertest"
)

// logs is what the nodes log, by node.
type logs struct {
	mu    sync.Mutex
	nodes map[string]*bytes.Buffer
}

func (l *logs) has(node, text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.nodes[node].String(), text)
}

// TestRequestIDReachesTheLeader checks that the log of the node that leads names the
// request that came in at another.
func TestRequestIDReachesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &logs{nodes: make(map[string]*bytes.Buffer)}
		c := clustertest.New(t, 3, func(cfg *cluster.Config) {
			seeded(cfg)
			out := &bytes.Buffer{}
			logs.nodes[cfg.NodeID] = out
			cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: out, Mutex: &logs.mu})
		})
		c.Ready()
		leader, follower := c.Leader(), c.Follower()
		ctx := cluster.WithOrigin(t.Context(), cluster.Origin{RequestID: "request-17"})
		if _, err := follower.Current().Propose(ctx, patch("global:main")); err != nil {
			t.Fatal(err)
		}
		c.Wait("the leader's log does not tell of the request", time.Minute, func() bool { return logs.has(leader.ID, "request-17") })
		if !logs.has(leader.ID, "from="+follower.ID) {
			t.Errorf("the leader's log does not tell that it came from %s", follower.ID)
		}
	})
}
