package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// leaderWatch is what this node believes of who leads. It is a hint.
type leaderWatch struct {
	mu     sync.Mutex
	leader leadership
	end    context.CancelFunc
}

// leadership is one node's, as long as this node believes in it.
type leadership struct {
	id      raft.ServerID // empty if no leader is known
	address string
	ctx     context.Context
}

// until returns a context that ends when the leadership does.
func (l leadership) until() context.Context { return l.ctx }

func newLeaderWatch() *leaderWatch {
	w := &leaderWatch{}
	w.leader.ctx, w.end = context.WithCancel(context.Background())
	return w
}

func (w *leaderWatch) get() leadership {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.leader
}

func (w *leaderWatch) set(address raft.ServerAddress, id raft.ServerID) (changed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leader.id == id && w.leader.address == string(address) {
		return false
	}
	w.end()
	w.leader.id, w.leader.address = id, string(address)
	w.leader.ctx, w.end = context.WithCancel(context.Background())
	return true
}

// watchLeader keeps the leader watch up to date while ctx lasts. Observations may be
// dropped, but only while others are waiting, so the state is always read after the
// last change.
func (n *Node) watchLeader(ctx context.Context, c *consensus) {
	events := make(chan raft.Observation, 16)
	observer := raft.NewObserver(events, false, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.LeaderObservation, raft.RaftState:
			return true
		}
		return false
	})
	c.raft.RegisterObserver(observer)
	defer c.raft.DeregisterObserver(observer)
	for {
		if address, id := c.raft.LeaderWithID(); c.leader.set(address, id) {
			n.log.Info("leader_changed", "leader", nodeIDOf(id), "term", c.raft.CurrentTerm())
		}
		select {
		case <-events:
		case <-ctx.Done():
			return
		}
	}
}

// lead makes this node ready each time it becomes the leader.
func (n *Node) lead(ctx context.Context, c *consensus, gained <-chan bool) {
	for {
		told := ""
		select {
		case leader := <-gained:
			for leader && ctx.Err() == nil && c.raft.State() == raft.Leader {
				err := n.becomeReady(ctx, c)
				if err == nil {
					break
				}
				if told != err.Error() {
					told = err.Error()
					n.log.Warn("the leader is not ready yet", "reason", err)
				}
				pause(ctx, 250*time.Millisecond)
			}
		case <-ctx.Done():
			return
		}
	}
}

// becomeReady commits a command in this node's own term, which makes its commit index
// one that reads can trust; founds the cluster if nobody has; and imports the registry
// that an empty cluster starts with.
func (n *Node) becomeReady(ctx context.Context, c *consensus) error {
	term := c.raft.CurrentTerm()
	if _, err := n.applyOwn(ctx, c, fsm.Lead{Node: n.cfg.NodeID, Term: term}); err != nil {
		return err
	}
	if reason := n.founding.awaited(); reason != "" {
		return notReady("%s", reason)
	}
	if !n.adapter.view().Founded() {
		if result, err := n.applyOwn(ctx, c, n.genesis()); err != nil {
			return err
		} else if result.Refusal != nil {
			return fmt.Errorf("founding the cluster: %w", result.Refusal)
		}
	}
	if n.unfit() == "" {
		if err := n.seed(ctx, c); err != nil {
			if !errors.Is(err, errNotLeader) && !errors.Is(err, ErrUnknownOutcome) {
				n.seedFault.Store(&err)
			}
			return err
		}
	}
	n.seedFault.Store(nil)
	// What was proposed and applied while the term stayed the same is of this term, and
	// only this node leads it.
	if c.raft.CurrentTerm() != term {
		return errors.New("the term changed meanwhile")
	}
	c.index.ready.Store(term)
	return nil
}

// applyOwn commits one command of the leader's own.
func (n *Node) applyOwn(ctx context.Context, c *consensus, op fsm.Op) (fsm.Result, error) {
	command := fsm.Command{Actor: "system", Op: op}
	if _, ok := op.(fsm.Migrate); ok {
		command.Registry, command.Actor = n.cfg.RegistryID, "anonymous"
	}
	results, err := n.apply(ctx, c.raft, [][]byte{fsm.EncodeCommand(nil, command)})
	if err != nil {
		return fsm.Result{}, err
	}
	return results[0], nil
}

// genesis draws what the cluster is founded with.
func (n *Node) genesis() fsm.Genesis {
	g := fsm.Genesis{ClusterID: newClusterID(), RegistryID: n.cfg.RegistryID, HistoryKeep: n.cfg.HistoryKeep}
	key := n.cfg.SigningKey
	if len(key) == 0 {
		key = make([]byte, 32)
		rand.Read(key) // never fails, says crypto/rand
		g.Key = key
	}
	g.KeyID = keyID(key)
	return g
}

// seed imports the registry that the cluster starts with, if there is one and the
// default registry is still at revision 0.
func (n *Node) seed(ctx context.Context, c *consensus) error {
	r, ok := n.adapter.view().Registry(n.cfg.RegistryID)
	if n.cfg.Seed == nil || !ok || r.Revision() > 0 {
		return nil
	}
	migrate, err := n.cfg.Seed()
	if err != nil {
		return fmt.Errorf("reading the registry to start with: %w", err)
	}
	result, err := n.applyOwn(ctx, c, migrate)
	if err != nil {
		return err
	}
	if result.Refusal != nil {
		return fmt.Errorf("importing the registry to start with: %w", result.Refusal)
	}
	n.log.Info("migration_complete", "source", migrate.Source, "target", n.cfg.RegistryID, "entitiesMigrated", len(migrate.Entities))
	return nil
}

// unseeded says why this node could not import the registry that the cluster starts with,
// as long as nobody has; "" if it can, as far as it knows.
func (n *Node) unseeded() string {
	fault := n.seedFault.Load()
	if r, ok := n.adapter.view().Registry(n.cfg.RegistryID); fault == nil || ok && r.Revision() > 0 {
		return ""
	}
	return (*fault).Error()
}

// pause waits for d or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
