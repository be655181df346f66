package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Founding makes one cluster out of empty nodes that all know the same peers. What
// must never happen is that a node that lost its disk takes part again under the id
// in whose name it voted, or that two such nodes found a new cluster beside a
// survivor. So each empty directory draws an incarnation, which is part of its raft
// server id, and:
//
//   - the first of the peers by id decides: once every peer has answered that it is
//     uninitialised, the founders are the incarnations that answered;
//   - everyone else adopts the founders of any initialised peer, if its own
//     incarnation is among them; then it was counted, empty, when they were decided;
//   - whoever is not among them has lost its disk or came too late: it waits, and says
//     which command makes it a member again.
//
// The decider asks in the name of its own incarnation, and a member adopts only what
// was decided by the one that it answered last. So a late reply of a decider that
// has lost its disk since cannot bring two sets of founders into being.

// founder is a founding member in one of its lives.
type founder struct {
	ID          string `json:"id"`
	Address     string `json:"address"`
	Incarnation string `json:"incarnation"`
}

const (
	probeEvery   = 200 * time.Millisecond
	probeTimeout = time.Second
)

// founding is this node's part in it.
type founding struct {
	peers []Peer // by id
	store raft.StableStore
	ask   func(ctx context.Context, address string, call probeCall) (probeReply, error)

	mu       sync.Mutex
	identity identity
	promised founder // the decider that was told that this node is uninitialised
	waiting  string  // why the node is not a member yet
}

func newFounding(peers []Peer, store raft.StableStore, id identity) *founding {
	peers = slices.Clone(peers)
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return &founding{peers: peers, store: store, identity: id}
}

func (f *founding) self() founder {
	i := slices.IndexFunc(f.peers, func(p Peer) bool { return p.ID == f.identity.NodeID })
	return founder{f.identity.NodeID, f.peers[i].Address, f.identity.Incarnation}
}

// probed answers a peer's probe.
func (f *founding) probed(call probeCall) probeReply {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.identity.Founders) == 0 && call.Decider.ID == f.peers[0].ID {
		f.promised = call.Decider
	}
	return probeReply{Self: f.self(), Founders: f.identity.Founders}
}

// state returns the identity and, while the node waits to become a member, why.
func (f *founding) state() (identity, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.identity, f.waiting
}

// join returns the founders, when this node is one of them. It returns an error if ctx
// ends first.
func (f *founding) join(ctx context.Context) ([]founder, error) {
	for {
		founders, waiting := f.round(ctx)
		f.mu.Lock()
		f.waiting = waiting
		f.mu.Unlock()
		if founders != nil {
			return founders, f.adopt(founders)
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// round asks every peer once. It returns the founders or why there are none yet.
func (f *founding) round(ctx context.Context) ([]founder, string) {
	id, _ := f.state()
	if len(id.Founders) > 0 {
		return id.Founders, ""
	}
	self := f.self()
	replies, silent := f.probe(ctx, self)
	for _, r := range replies {
		if len(r.Founders) > 0 {
			return f.consider(self, r)
		}
	}
	if len(silent) > 0 {
		return nil, fmt.Sprintf("waiting for %s to answer, so that the cluster can be founded", strings.Join(silent, ", "))
	}
	if self.ID != f.peers[0].ID {
		return nil, fmt.Sprintf("waiting for %s to found the cluster", f.peers[0].ID)
	}
	founders := []founder{self}
	for _, r := range replies {
		founders = append(founders, r.Self)
	}
	slices.SortFunc(founders, func(a, b founder) int { return strings.Compare(a.ID, b.ID) })
	return founders, ""
}

// probe asks the other peers, all at once, and returns the answers of those that
// are who they should be, and the ids of the rest.
func (f *founding) probe(ctx context.Context, self founder) (replies []probeReply, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	type answer struct {
		reply probeReply
		err   error
	}
	answers := make([]answer, len(f.peers))
	var group sync.WaitGroup
	for i, p := range f.peers {
		if p.ID != self.ID {
			group.Go(func() { answers[i].reply, answers[i].err = f.ask(ctx, p.Address, probeCall{Decider: self}) })
		}
	}
	group.Wait()
	for i, p := range f.peers {
		switch a := answers[i]; {
		case p.ID == self.ID:
		case a.err != nil || a.reply.Self.ID != p.ID:
			silent = append(silent, p.ID)
		default:
			replies = append(replies, a.reply)
		}
	}
	return replies, silent
}

// consider decides what the founders that a peer knows mean for this node.
func (f *founding) consider(self founder, r probeReply) ([]founder, string) {
	f.mu.Lock()
	promised := f.promised
	f.mu.Unlock()
	decider := r.Founders[0]
	switch {
	case !slices.ContainsFunc(r.Founders, func(o founder) bool { return o.ID == self.ID && o.Incarnation == self.Incarnation }):
		return nil, fmt.Sprintf("the cluster exists already and does not know this node's data directory; to make it a member, run: tesd node add %s=%s --replace", self.ID, self.Address)
	case promised.ID != "" && promised != decider:
		return nil, fmt.Sprintf("waiting for %s to found the cluster", decider.ID)
	}
	return r.Founders, ""
}

// adopt makes the founders durable. From then on this node is initialised.
func (f *founding) adopt(founders []founder) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := f.identity
	next.Founders = founders
	if err := next.save(f.store); err != nil {
		return err
	}
	f.identity = next
	return nil
}

// belongTo ties the data directory to a cluster, or finds that it belongs to another.
func (f *founding) belongTo(clusterID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.identity.ClusterID == clusterID {
		return nil
	}
	if f.identity.ClusterID != "" {
		return fmt.Errorf("the data directory belongs to cluster %s, but the log is of cluster %s", f.identity.ClusterID, clusterID)
	}
	next := f.identity
	next.ClusterID = clusterID
	if err := next.save(f.store); err != nil {
		return err
	}
	f.identity = next
	return nil
}

// configuration is the cluster's first one: the same on every founder.
func configuration(founders []founder) raft.Configuration {
	var c raft.Configuration
	for _, f := range founders {
		c.Servers = append(c.Servers, raft.Server{
			Suffrage: raft.Voter, ID: serverID(f.ID, f.Incarnation), Address: raft.ServerAddress(f.Address),
		})
	}
	return c
}
