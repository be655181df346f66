package cluster

import (
	"context"
	"slices"

	"github.com/hashicorp/raft"
)

// invite makes the nodes that a restored cluster is to have its members, and stops when all
// of them vote.
func (n *Node) invite(ctx context.Context, c *consensus) error {
	id, _ := n.founding.state()
	if len(id.Invited) == 0 {
		return nil
	}
	servers := c.raft.GetConfiguration().Configuration().Servers
	obstacle, voters := "", 0
	for _, p := range id.Invited {
		at := slices.IndexFunc(servers, func(s raft.Server) bool { return nodeIDOf(s.ID) == p.ID })
		if at >= 0 {
			if servers[at].Suffrage == raft.Voter {
				voters++
			}
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, changeTimeout)
		err := n.tryChange(ctx, changeCall{Kind: addNode, NodeID: p.ID, Address: p.Address})
		cancel()
		if err != nil && obstacle == "" {
			obstacle = err.Error()
		}
	}
	if voters < len(id.Invited) {
		n.founding.setObstacle(obstacle)
		return nil
	}
	n.log.Info("the restored cluster is complete", "voters", voters+1)
	return n.founding.completed()
}

func (f *founding) setObstacle(obstacle string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.obstacle = obstacle
}

// completed notes that nobody is awaited any more.
func (f *founding) completed() error {
	next, _ := f.state()
	next.Invited = nil
	return f.adopt(next)
}
