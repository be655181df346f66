package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
	"github.com/tesd/tesd/internal/wire"
)

func (a *app) putCommand() *cobra.Command {
	var (
		create bool
		t      *tool
	)
	c := &cobra.Command{
		Use:     "put FILE [flags]",
		GroupID: groupWrite,
		Short:   "Create an entity, or replace one",
		Long: `Creates the entity in FILE, or replaces the one that has its id. FILE is JSON, an object of
one entity as in the "entities" of "tesd export"; "-" is standard input. It is checked
before anything is sent.

A new entity needs a currentVersion. The version of one that exists moves by bumps alone:
the file may leave it out, and if it names another it is refused (exit code 4). All else is
as the file says afterwards; what it leaves out is gone. A put that changes nothing makes no
transaction. The first put into a registry that does not exist makes it.`,
		Example: `  tesd put berth-planner.json
  tesd put berth-planner.json --create
  tesd get component:booking-rules -o json | jq '.entity | .displayInUi = true' | tesd put -`,
		Args: cobra.ExactArgs(1),
	}
	t = a.writer(c)
	c.Flags().BoolVar(&create, "create", false, "refuse if the entity exists, instead of replacing it")
	return a.command(c, func(ctx context.Context, args []string) error {
		raw, err := a.readInput(args[0])
		if err != nil {
			return fmt.Errorf("reading the entity: %w", err)
		}
		entity, err := decodeEntity(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		return a.put(ctx, t, entity, create)
	})
}

// decodeEntity reads a file of one entity, and checks all of it that needs no registry.
func decodeEntity(raw []byte) (client.Entity, error) {
	var f intake.Faults
	op, ok := intake.Put(raw, &f)
	if ok {
		for _, p := range op.Entity.Check() {
			f.Add(p.Path, "%s", p.Message)
		}
	}
	if err := shapeFault(&f); err != nil {
		return client.Entity{}, err
	}
	if report := fsm.ValidateEntity(&op.Entity); !report.Valid() {
		return client.Entity{}, &invalidError{"entity", wire.Validation(report)}
	}
	return wire.Entity(&op.Entity), nil
}

func (a *app) put(ctx context.Context, t *tool, entity client.Entity, create bool) error {
	c, key, err := t.write()
	if err != nil {
		return err
	}
	options := []client.WriteOption{key}
	if create {
		options = append(options, client.CreateOnly())
	}
	resp, err := c.Put(ctx, entity, options...)
	if err != nil {
		return err
	}
	return a.entityWritten(t.format, entity.ID, resp)
}

func (a *app) deleteCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:     "delete ENTITY [flags]",
		GroupID: groupWrite,
		Short:   "Remove an entity",
		Long: `Removes ENTITY from the registry. It is refused (exit code 4) while ENTITY is the parent of
another: remove that first, or give it another parent with "tesd put".

The history keeps what was. So does the id its last version: an entity can be created under
it again above that version only.`,
		Example: `  tesd delete docs:booking-guide
  tesd delete docs:booking-guide --registry staging -o json`,
		Args: cobra.ExactArgs(1),
	}
	t = a.writer(c)
	c.ValidArgsFunction = suggestOne(t.suggestEntities)
	return a.command(c, func(ctx context.Context, args []string) error {
		if err := fsm.CheckEntityID(args[0]); err != nil {
			return usagef("%v", err)
		}
		c, key, err := t.write()
		if err != nil {
			return err
		}
		resp, err := c.Delete(ctx, args[0], key)
		if err != nil {
			return err
		}
		return a.entityWritten(t.format, args[0], resp)
	})
}

// entityWritten tells what became of a put or a delete.
func (a *app) entityWritten(f format, id string, resp *client.EntityWriteResponse) error {
	a.replayed(resp.Replayed)
	return a.printDone(f, resp, resp.RegistryID, resp.Revision, func(p *page) {
		if len(resp.Changes) == 0 {
			p.line("nothing was changed: %s is like that already", id)
			p.gap()
			p.facts("registry", resp.RegistryID, "revision", strconv.FormatUint(resp.Revision, 10))
			return
		}
		p.line("%s", changesText(resp.Changes, id))
		p.gap()
		p.transaction(resp.RegistryID, resp.Revision, resp.TransactionID, resp.KeyID)
	})
}
