package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// bumpFlags are the flags of bump.
type bumpFlags struct {
	all, dryRun, noCascade  bool
	expectedVersion, reason string
}

func (a *app) bumpCommand() *cobra.Command {
	var (
		f bumpFlags
		t *tool
	)
	c := &cobra.Command{
		Use:     "bump <major|minor|patch> [ENTITY] [flags]",
		GroupID: groupWrite,
		Short:   "Raise the version of an entity and of all that moves with it",
		Long: `Raises the version of ENTITY, and with it those of all entities that are linked to it, in
one transaction. Each moves by the same scope from its own version. With --all every
entity of the registry moves.

With --dry-run nothing is changed: the cascade is shown as a tree with the versions
before and after.`,
		Example: `  tesd bump patch component:booking-service
  tesd bump minor component:booking-service --dry-run
  tesd bump major global:platform --expected-version 4.2.0 --reason "new tariff model"
  tesd bump patch --all`,
		Args: cobra.RangeArgs(1, 2),
	}
	t = a.writer(c)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return []cobra.Completion{"major", "minor", "patch"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		case len(args) == 1 && !f.all:
			return t.suggestEntities(c, args, prefix)
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c.Flags().BoolVar(&f.all, "all", false, "raise every entity of the registry")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would move, and change nothing")
	c.Flags().BoolVar(&f.noCascade, "no-cascade", false, "raise the entity alone, not what is linked to it")
	c.Flags().StringVar(&f.expectedVersion, "expected-version", "", "refuse unless the entity has this `version`")
	c.Flags().StringVar(&f.reason, "reason", "", "`text` that the signed receipt keeps")
	return a.command(c, func(ctx context.Context, args []string) error {
		if c.Flags().Changed("expected-version") && f.expectedVersion == "" {
			return usagef("--expected-version is empty; leave it out to accept any version")
		}
		req, err := f.request(args)
		if err != nil {
			return err
		}
		return a.bump(ctx, t, req)
	})
}

// request makes the request that arguments and flags ask for.
func (f *bumpFlags) request(args []string) (client.BumpRequest, error) {
	req := client.BumpRequest{
		Scope: client.Scope(args[0]), DryRun: f.dryRun, ExpectedVersion: f.expectedVersion, Reason: f.reason,
	}
	if _, err := fsm.ParseScope(args[0]); err != nil {
		return req, usagef("scope %q is not major, minor or patch", args[0])
	}
	switch {
	case len(args) == 2 && f.all:
		return req, usagef("an entity and --all exclude each other")
	case len(args) == 2:
		req.EntityID = args[1]
		if err := fsm.CheckEntityID(req.EntityID); err != nil {
			return req, usagef("%v", err)
		}
	case !f.all:
		return req, usagef("name an entity, or give --all to raise every entity of the registry")
	case f.noCascade:
		return req, usagef("--no-cascade needs an entity")
	case f.expectedVersion != "":
		return req, usagef("--expected-version needs an entity")
	}
	if len(f.reason) > fsm.MaxReason {
		return req, usagef("--reason has %d bytes, the limit is %d", len(f.reason), fsm.MaxReason)
	}
	if f.noCascade {
		req.Cascade = new(false)
	}
	return req, nil
}

func (a *app) bump(ctx context.Context, t *tool, req client.BumpRequest) error {
	c, key, err := t.write()
	if err != nil {
		return err
	}
	resp, err := c.Bump(ctx, req, key)
	if err != nil {
		return err
	}
	a.replayed(resp.Replayed)
	return a.printDone(t.format, resp, resp.RegistryID, resp.Revision, func(p *page) {
		if resp.DryRun {
			p.tree(resp.Bumped, resp.Changes)
			p.gap()
			p.plan(resp.RegistryID, resp.Revision, len(resp.Changes))
			return
		}
		p.table([]string{"ENTITY", "OLD", "", "NEW", "NAME"}, changeRows(resp.Changes))
		p.gap()
		p.transaction(resp.RegistryID, resp.Revision, resp.TransactionID, resp.KeyID)
	})
}

// changeRows is a row per entity that moved.
func changeRows(changes []client.Change) [][]string {
	var rows [][]string
	for _, c := range changes {
		rows = append(rows, []string{c.EntityID, deref(c.OldVersion), "→", deref(c.NewVersion), c.DisplayName})
	}
	return rows
}

// transaction writes what names a committed transaction.
func (p *page) transaction(registry string, revision uint64, id, keyID string) {
	p.facts("registry", registry, "revision", strconv.FormatUint(revision, 10), "transaction", id, "signed by key", keyID)
}

// plan writes what a dry run came to.
func (p *page) plan(registry string, revision uint64, moves int) {
	p.facts("registry", registry, "revision", strconv.FormatUint(revision, 10),
		"dry run", count(moves, "entity would move", "entities would move")+"; nothing was changed")
}
