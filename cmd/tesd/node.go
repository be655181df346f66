package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
)

func (a *app) nodeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "node",
		GroupID: groupServer,
		Short:   "Change the nodes of the cluster",
		Long: `Changes which nodes are members of the cluster, and which of them leads. Each change shows
the cluster as it is afterwards.`,
		Example: `  tesd node add n4=127.0.0.1:9004
  tesd node remove n4
  tesd node transfer n2`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.nodeAddCommand(), a.nodeRemoveCommand(), a.nodeTransferCommand())
	return c
}

func (a *app) nodeAddCommand() *cobra.Command {
	var (
		replace bool
		t       *tool
	)
	c := &cobra.Command{
		Use:   "add ID=RAFT_ADDRESS [flags]",
		Short: "Make a node a member",
		Long: `Makes the node that answers at RAFT_ADDRESS a member. It must run, with an empty data
directory and the --peers of the others. It begins without a vote, and is given one when it
and all voters have caught up; "tesd status" shows that. For a member it changes the
address.

A node that lost its disk comes back with --replace, which takes the old one out. It is
refused while the old one answers.`,
		Example: `  tesd node add n4=127.0.0.1:9004
  tesd node add n2=127.0.0.1:9002 --replace`,
		Args: cobra.ExactArgs(1),
	}
	t = a.nodeTool(c)
	c.Flags().BoolVar(&replace, "replace", false, "take the place of the member of this id, whose disk is lost")
	return a.command(c, func(ctx context.Context, args []string) error {
		id, address, ok := strings.Cut(args[0], "=")
		if !ok || id == "" || address == "" {
			return usagef("%q is not ID=RAFT_ADDRESS, such as n4=127.0.0.1:9004", args[0])
		}
		if err := errors.Join(cluster.CheckNodeID(id), cluster.CheckAddress(address)); err != nil {
			return usagef("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		return t.changeCluster(func(c *client.Client) (*client.ClusterStatus, error) {
			return c.AddNode(ctx, client.NodeRequest{ID: id, Address: address, Replace: replace})
		})
	})
}

func (a *app) nodeRemoveCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:   "remove ID [flags]",
		Short: "Take a node out of the cluster",
		Long: `Takes a node out of the cluster, whether it runs or not. A leader hands leadership over
first. It is refused if what is left had no majority that answers. Stop the node
afterwards: it serves nothing any more.`,
		Example: `  tesd node remove n4`,
		Args:    cobra.ExactArgs(1),
	}
	t = a.nodeTool(c)
	c.ValidArgsFunction = suggestOne(t.suggestNodes)
	return a.command(c, func(ctx context.Context, args []string) error {
		return t.changeCluster(func(c *client.Client) (*client.ClusterStatus, error) { return c.RemoveNode(ctx, args[0]) })
	})
}

func (a *app) nodeTransferCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:   "transfer [ID] [flags]",
		Short: "Hand leadership over",
		Long:  "Hands leadership over to a node, or to the most advanced other voter.",
		Example: `  tesd node transfer
  tesd node transfer n2`,
		Args: cobra.MaximumNArgs(1),
	}
	t = a.nodeTool(c)
	c.ValidArgsFunction = suggestOne(t.suggestNodes)
	return a.command(c, func(ctx context.Context, args []string) error {
		return t.changeCluster(func(c *client.Client) (*client.ClusterStatus, error) {
			return c.TransferLeadership(ctx, client.TransferRequest{To: strings.Join(args, "")})
		})
	})
}

// nodeTool adds the flags of a command that is about the cluster, not a registry.
func (a *app) nodeTool(c *cobra.Command) *tool {
	t := a.tool(c)
	c.Flags().Lookup("registry").Hidden = true
	return t
}

// changeCluster makes a change and shows the cluster after it.
func (t *tool) changeCluster(change func(*client.Client) (*client.ClusterStatus, error)) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	resp, err := change(c)
	if err != nil {
		return err
	}
	return t.app.print(t.format, resp, func(p *page) { p.status(resp) })
}
