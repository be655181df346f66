package cluster

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// TestPromiseToTheDecider: the decider lost its disk after it had asked, and asked again in
// its next life. What it decided in the life before must not be taken over any more, or the
// one that it decides on next would found a second cluster.
func TestPromiseToTheDecider(t *testing.T) {
	first, again := founder{"n1", "n1:9000", "a"}, founder{"n1", "n1:9000", "b"}
	id := identity{NodeID: "n2", Incarnation: "c"}
	peers := []Peer{{"n1", "n1:9000"}, {"n2", "n2:9000"}}
	decided := func(by founder) probeReply {
		return probeReply{Self: by, Initialised: true, Founders: []founder{by, {"n2", "n2:9000", "c"}}}
	}
	for _, tc := range []struct {
		name  string
		asked []founder // who asked this node, one after the other
		reply probeReply
		joins bool
	}{
		{"decided by the one that asked", []founder{first}, decided(first), true},
		{"decided in the life before the one that asked last", []founder{first, again}, decided(first), false},
		{"decided in the life that asked last", []founder{first, again}, decided(again), true},
		{"nobody asked since this node was started", nil, decided(first), true},
		{"a leader asked, who decides nothing", []founder{first, {}}, decided(first), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFounding(peers, "n2:9000", raft.NewInmemStore(), id)
			f.ask = func(_ context.Context, address string, _ probeCall) (probeReply, error) {
				if address != "n1:9000" {
					return probeReply{}, errors.New("nobody is there")
				}
				return tc.reply, nil
			}
			for _, decider := range tc.asked {
				f.probed(probeCall{Decider: decider})
			}
			next, waiting := f.round(t.Context())
			if joins := waiting == ""; joins != tc.joins || next.initialised() != tc.joins {
				t.Errorf("the node joins: %v (%s), want %v", joins, waiting, tc.joins)
			}
		})
	}
}
