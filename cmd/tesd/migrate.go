package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/wire"
)

func (a *app) migrateCommand() *cobra.Command {
	var (
		source string
		t      *tool
	)
	c := &cobra.Command{
		Use:     "migrate FILE [flags]",
		GroupID: groupWrite,
		Short:   "Import a registry into one without transactions",
		Long: `Imports the entities of FILE into a registry that has no transactions yet. Into any other
it changes nothing, says so, and exits with 0. FILE is JSON, an array of entities or an
object with "entities", such as "tesd export" writes; "-" is standard input. It is checked
before anything is sent.`,
		Example: `  tesd migrate registry.json
  tesd migrate registry.json --registry staging --source "git:4f2a91c"`,
		Args: cobra.ExactArgs(1),
	}
	t = a.writer(c)
	c.Flags().StringVar(&source, "source", "", "`name` of where the entities come from, which the receipt keeps (default file:FILE)")
	return a.command(c, func(ctx context.Context, args []string) error {
		raw, err := a.readInput(args[0])
		if err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
		m, err := readMigrate(raw, cmp.Or(source, sourceOf(args[0])))
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return a.migrate(ctx, t, client.MigrateRequest{Source: m.Source, Entities: wire.Entities(m.Entities)})
	})
}

func (a *app) migrate(ctx context.Context, t *tool, req client.MigrateRequest) error {
	c, key, err := t.write()
	if err != nil {
		return err
	}
	resp, err := c.Migrate(ctx, req, key)
	if err != nil {
		return err
	}
	a.replayed(resp.Replayed)
	return a.printDone(t.format, resp, resp.RegistryID, resp.Revision, func(p *page) {
		if !resp.Migrated {
			p.line("nothing was imported: registry %s is at revision %d already", resp.RegistryID, resp.Revision)
			return
		}
		if v := resp.Validation; v != nil && len(v.Warnings) > 0 {
			p.table([]string{"SEVERITY", "CODE", "ENTITY", "MESSAGE"}, findingRows(client.Validation{Warnings: v.Warnings}))
			p.gap()
		}
		p.line("imported %s from %s", count(resp.EntitiesMigrated, "entity", "entities"), req.Source)
		p.gap()
		p.transaction(resp.RegistryID, resp.Revision, resp.TransactionID, resp.KeyID)
	})
}
