package cluster

import (
	"cmp"
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
//     which command makes it a member. It is one as soon as a member knows its
//     incarnation to be in the cluster's configuration.
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
	peers   []Peer // by id; a node that is not among them can only be added
	address string // this node's own
	store   raft.StableStore
	ask     func(ctx context.Context, address string, call probeCall) (probeReply, error)

	mu       sync.Mutex
	identity identity
	promised founder // the decider that was told that this node is uninitialised
	waiting  string  // why the node is not a member yet
	obstacle string  // why one of those invited is not
}

func newFounding(peers []Peer, address string, store raft.StableStore, id identity) *founding {
	peers = slices.Clone(peers)
	slices.SortFunc(peers, func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	return &founding{peers: peers, address: address, store: store, identity: id}
}

// self is this node in its present life.
func (f *founding) self() founder {
	return founder{f.identity.NodeID, f.address, f.identity.Incarnation}
}

// probed answers a peer's probe.
func (f *founding) probed(call probeCall) probeReply {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.identity.initialised() && call.Decider.ID == f.peers[0].ID {
		f.promised = call.Decider
	}
	return probeReply{
		Self: f.self(), Initialised: f.identity.initialised(), Founders: f.identity.Founders, ClusterID: f.identity.ClusterID,
	}
}

// state returns the identity and, while the node waits to become a member, why.
func (f *founding) state() (identity, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.identity, f.waiting
}

// join returns when this node is a member: with the founders if it is one of them,
// with none if it has been added. It returns an error if ctx ends first.
func (f *founding) join(ctx context.Context) ([]founder, error) {
	for {
		id, waiting := f.round(ctx)
		f.mu.Lock()
		f.waiting = waiting
		f.mu.Unlock()
		if waiting == "" {
			return id.Founders, f.adopt(id)
		}
		select {
		case <-time.After(probeEvery):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// round asks every peer once. It returns the identity that makes this node a member, or
// what it waits for.
func (f *founding) round(ctx context.Context) (id identity, waiting string) {
	id, _ = f.state()
	if id.initialised() {
		return id, ""
	}
	self := f.self()
	replies, silent := f.probe(ctx, self)
	// One that was removed may not know of this node: those with a leader are asked first.
	slices.SortStableFunc(replies, func(a, b probeReply) int { return cmp.Compare(rank(a), rank(b)) })
	for _, r := range replies {
		if !r.Initialised {
			break
		}
		next, why := f.consider(id, self, r)
		if why == "" {
			return next, ""
		}
		waiting = cmp.Or(waiting, why)
	}
	if waiting != "" {
		return id, waiting
	}
	switch decider := f.peers[0].ID; {
	case !slices.ContainsFunc(f.peers, func(p Peer) bool { return p.ID == self.ID }):
		return id, "this node is not among the peers that found the cluster; " + addCommand(self, false)
	case len(silent) > 0:
		return id, fmt.Sprintf("waiting for %s to answer, so that the cluster can be founded", strings.Join(silent, ", "))
	case self.ID != decider:
		return id, fmt.Sprintf("waiting for %s to found the cluster", decider)
	}
	id.Founders = []founder{self}
	for _, r := range replies {
		id.Founders = append(id.Founders, r.Self)
	}
	slices.SortFunc(id.Founders, func(a, b founder) int { return strings.Compare(a.ID, b.ID) })
	return id, ""
}

// rank orders answers by how much they know: of members with a leader, other members, others.
func rank(r probeReply) int {
	switch {
	case r.Initialised && r.Led:
		return 0
	case r.Initialised:
		return 1
	}
	return 2
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

// consider decides what the cluster that a peer is part of means for this node.
func (f *founding) consider(id identity, self founder, r probeReply) (_ identity, waiting string) {
	f.mu.Lock()
	promised := f.promised
	f.mu.Unlock()
	if slices.ContainsFunc(r.Founders, func(o founder) bool { return o.ID == self.ID && o.Incarnation == self.Incarnation }) {
		if decider := r.Founders[0]; promised.ID != "" && promised != decider {
			return id, fmt.Sprintf("waiting for %s to found the cluster", decider.ID)
		}
		id.Founders = r.Founders
		return id, ""
	}
	known := slices.ContainsFunc(r.Founders, func(o founder) bool { return o.ID == self.ID }) && len(r.Members) == 0
	for _, m := range r.Members {
		if m.ID == serverID(self.ID, self.Incarnation) {
			id.Joined, id.ClusterID = true, r.ClusterID
			return id, ""
		}
		known = known || nodeIDOf(m.ID) == self.ID
	}
	return id, "the cluster exists already and does not know this node's data directory; " + addCommand(self, known)
}

// addCommand says how to make a node a member, in place of a lost one or not.
func addCommand(self founder, replace bool) string {
	command := fmt.Sprintf("to make it a member, run: tesd node add %s=%s", self.ID, self.Address)
	if replace {
		command += " --replace"
	}
	return command
}

// adopt makes the identity of a member durable. From then on this node is initialised.
func (f *founding) adopt(next identity) error {
	f.mu.Lock()
	defer f.mu.Unlock()
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

// belong notes that this node is in the configuration of its cluster.
func (f *founding) belong() error {
	next, _ := f.state()
	if next.belonged() {
		return nil
	}
	next.Belonged = true
	return f.adopt(next)
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
