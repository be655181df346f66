package httpapi

import (
	"cmp"
	"context"
	"slices"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/internal/intake"
)

// clusterStatus answers the cluster as this node sees it.
func (s *Server) clusterStatus(c *call) (*answer, error) {
	if err := c.noQuery(); err != nil {
		return nil, err
	}
	ctx, cancel := c.deadline()
	defer cancel()
	return s.answerCluster(ctx)
}

func (s *Server) answerCluster(ctx context.Context) (*answer, error) {
	members := slices.SortedFunc(slices.Values(s.node.Members(ctx)), func(a, b cluster.Member) int { return cmp.Compare(a.ID, b.ID) })
	status := s.node.Status()
	resp := client.ClusterStatus{ClusterID: status.ClusterID, Leader: status.Leader, Term: status.Term, Nodes: []client.NodeStatus{}, Connections: s.connections.list()}
	for _, m := range members {
		node := client.NodeStatus{ID: m.ID, Address: m.RaftAddress, Voter: m.Voter, Reachable: m.Status != nil}
		if st := m.Status; st != nil {
			role := string(st.Role)
			node.HTTPAddress, node.Role, node.StateHash = &st.HTTPAddress, &role, &st.StateHash
			node.CommitIndex, node.AppliedIndex = &st.CommitIndex, &st.AppliedIndex
		}
		resp.Nodes = append(resp.Nodes, node)
	}
	return jsonAnswer(resp)
}

// addNode makes a node a member.
func (s *Server) addNode(c *call) (*answer, error) {
	raw, f, err := c.clusterBody(false)
	if err != nil {
		return nil, err
	}
	id, address, replace, ok := intake.Node(raw, f)
	if err := cluster.CheckNodeID(id); ok && err != nil {
		f.Add("id", "%v", err)
	}
	if err := cluster.CheckAddress(address); ok && err != nil {
		f.Add("address", "%v", err)
	}
	return c.changeCluster(f, func(ctx context.Context) error { return s.node.AddNode(ctx, id, address, replace) })
}

// removeNode takes a node out of the cluster.
func (s *Server) removeNode(c *call) (*answer, error) {
	var f intake.Faults
	newQuery(c.r.URL.RawQuery, &f).finish()
	c.noBody(&f)
	return c.changeCluster(&f, func(ctx context.Context) error { return s.node.RemoveNode(ctx, c.tail) })
}

// transferLeadership hands leadership over.
func (s *Server) transferLeadership(c *call) (*answer, error) {
	raw, f, err := c.clusterBody(true)
	if err != nil {
		return nil, err
	}
	to := ""
	if len(raw) > 0 {
		to = intake.Transfer(raw, f)
	}
	return c.changeCluster(f, func(ctx context.Context) error { return s.node.TransferLeadership(ctx, to) })
}

// clusterBody reads the body of a change of the cluster, which may be absent if optional,
// and notes what else is wrong with the request.
func (c *call) clusterBody(optional bool) (raw []byte, f *intake.Faults, err error) {
	f = &intake.Faults{}
	newQuery(c.r.URL.RawQuery, f).finish()
	if optional && c.r.ContentLength == 0 {
		return nil, f, nil
	}
	raw, err = c.readBody(maxBody)
	return raw, f, err
}

// changeCluster changes the membership, unless there are faults, and answers the cluster
// as it is then.
func (c *call) changeCluster(f *intake.Faults, change func(context.Context) error) (*answer, error) {
	if err := faulty(f); err != nil {
		return nil, err
	}
	ctx, cancel := c.deadline()
	defer cancel()
	c.proposed = true
	if err := change(ctx); err != nil {
		return nil, err
	}
	return c.s.answerCluster(ctx)
}
