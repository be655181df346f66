package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
)

func (a *app) registriesCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:     "registries [flags]",
		GroupID: groupRead,
		Short:   "List the registries of the cluster",
		Long: `Lists the registries of the cluster by id, with the revision, the number of entities and
the lifecycle of each. The other commands select one by --registry. All but the default
registry come into being by their first migrate or put.`,
		Example: `  tesd registries
  tesd registries -o json`,
		Args: cobra.NoArgs,
	}
	t = a.nodeTool(c)
	return a.command(c, func(ctx context.Context, _ []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		resp, err := c.Registries(ctx)
		if err != nil {
			return err
		}
		return a.print(t.format, resp, func(p *page) {
			var rows [][]string
			for _, r := range resp.Registries {
				rows = append(rows, []string{r.RegistryID, strconv.FormatUint(r.Revision, 10), strconv.Itoa(r.Entities), r.Lifecycle})
			}
			p.table([]string{"REGISTRY", "REVISION", "ENTITIES", "LIFECYCLE"}, rows)
		})
	})
}
