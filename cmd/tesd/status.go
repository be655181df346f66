package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
)

func (a *app) statusCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:     "status [flags]",
		GroupID: groupRead,
		Short:   "Show the nodes of the cluster",
		Long: `Shows the cluster as the first node sees it that answers: who leads, and how far each
node is. It works without a quorum. STATE begins the hash of a node's state at its
applied index: nodes with the same index and different hashes have diverged. Below are the
connections that the node tells of transactions, if it has any.`,
		Example: `  tesd status
  tesd status --endpoints http://127.0.0.1:8002 -o json`,
		Args: cobra.NoArgs,
	}
	t = a.nodeTool(c)
	return a.command(c, func(ctx context.Context, _ []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		resp, err := c.Cluster(ctx)
		if err != nil {
			return err
		}
		if resp.ClusterID == "" { // of a node that waits to become a member; another may know more
			resp = t.founded(ctx, resp)
		}
		return a.print(t.format, resp, func(p *page) { p.status(resp) })
	})
}

// founded is the cluster as the first node sees it that is part of one, or what was told before.
func (t *tool) founded(ctx context.Context, told *client.ClusterStatus) *client.ClusterStatus {
	for _, endpoint := range t.endpointList() {
		c, err := client.New([]string{endpoint}, client.WithTimeout(t.timeout))
		if err != nil {
			continue
		}
		if resp, err := c.Cluster(ctx); err == nil && resp.ClusterID != "" {
			return resp
		}
	}
	return told
}

func (p *page) status(s *client.ClusterStatus) {
	p.facts("cluster", orDash(s.ClusterID), "leader", orDash(s.Leader), "term", strconv.FormatUint(s.Term, 10))
	p.gap()
	var rows [][]string
	for _, n := range s.Nodes {
		state := deref(n.StateHash)
		rows = append(rows, []string{
			n.ID, deref(n.Role), yesNo(n.Voter), n.Address, deref(n.HTTPAddress), yesNo(n.Reachable),
			derefUint(n.CommitIndex), derefUint(n.AppliedIndex), state[:min(len(state), 12)],
		})
	}
	p.table([]string{"NODE", "ROLE", "VOTER", "RAFT", "HTTP", "REACHABLE", "COMMIT", "APPLIED", "STATE"}, rows)
	p.connections(s.Connections)
}

// connections are those of the node that answered.
func (p *page) connections(open []client.Connection) {
	if len(open) == 0 {
		return
	}
	var rows [][]string
	for _, c := range open {
		rows = append(rows, []string{
			c.ID, c.RegistryID, c.RemoteAddress, timeText(c.ConnectedAt), timeText(c.LastActivity), strconv.FormatUint(c.Revision, 10),
		})
	}
	p.gap()
	p.table([]string{"CONNECTION", "REGISTRY", "FROM", "SINCE", "LAST ACTIVITY", "REVISION"}, rows)
}
