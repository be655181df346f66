package main

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

func (a *app) getCommand() *cobra.Command {
	var (
		wait string
		t    *tool
	)
	c := &cobra.Command{
		Use:     "get ENTITY [flags]",
		GroupID: groupRead,
		Short:   "Show one entity, or wait for a version of it",
		Long: `Shows one entity: its version, its place in the registry and the files that carry its
version.

With --wait it is shown once its version meets a constraint: a version (1.4.0), a range
(>=1.4.0, ~1.4, ^2, 1.4.x, 1.2 - 1.4), several that must all hold (>=1.4.0 <2), or
alternatives (^1.4 || ^2). Quote it, or the shell takes > for itself. In a constraint 1.4 is
any 1.4.x; an entity at 1.4 is at 1.4.0, as for bumps. A pre-release meets only a constraint
that names one, such as >=1.4.0-0. ENTITY must exist already. The wait as a whole takes
--timeout at most, or 5m without it, and then ends with exit code 5.`,
		Example: `  tesd get component:booking-service
  tesd get @harbor/ui -o json
  tesd get component:booking-service --wait '>=4.3.0' --timeout 10m`,
		Args: cobra.ExactArgs(1),
	}
	t = a.tool(c)
	c.ValidArgsFunction = suggestOne(t.suggestEntities)
	c.Flags().Lookup("timeout").Usage += "; with --wait, how long to wait, by default 5m"
	c.Flags().StringVar(&wait, "wait", "", "wait until the version meets this `constraint`, for as long as --timeout says")
	return a.command(c, func(ctx context.Context, args []string) error {
		if err := fsm.CheckEntityID(args[0]); err != nil {
			return usagef("%v", err)
		}
		var (
			resp *client.EntityResponse
			err  error
		)
		if c.Flags().Changed("wait") {
			limit := waitDefault
			if c.Flags().Changed("timeout") {
				limit = t.timeout
			}
			resp, err = t.waitEntity(ctx, args[0], wait, limit)
		} else {
			resp, err = t.readEntity(ctx, args[0])
		}
		if err != nil {
			return err
		}
		return a.print(t.format, resp, func(p *page) { p.entity(resp) })
	})
}

func (t *tool) readEntity(ctx context.Context, id string) (*client.EntityResponse, error) {
	c, err := t.client()
	if err != nil {
		return nil, err
	}
	return c.Entity(ctx, id)
}

// entity writes all that is known of an entity; what is absent is left out.
func (p *page) entity(resp *client.EntityResponse) {
	e := resp.Entity
	var pairs []string
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, name, value)
		}
	}
	add("id", e.ID)
	add("version", e.CurrentVersion)
	add("name", e.DisplayName)
	add("description", e.Description)
	add("type", e.Type)
	add("strategy", e.UpdateStrategy)
	add("parent", e.ParentVersionID)
	add("api prefix", e.APIEndpointPrefix)
	add("command", e.CLICommandName)
	add("in ui", yesNo(e.DisplayInUI))
	add("revision", strconv.FormatUint(resp.Revision, 10))
	p.facts(pairs...)
	if len(e.Files) == 0 {
		return
	}
	p.gap()
	var rows [][]string
	for _, f := range e.Files {
		rows = append(rows, []string{f.Path, f.Pattern, yesNo(f.Required), f.Description})
	}
	p.table([]string{"FILE", "PATTERN", "REQUIRED", "DESCRIPTION"}, rows)
}

func (a *app) listCommand() *cobra.Command {
	var (
		o client.RegistryOptions
		t *tool
	)
	c := &cobra.Command{
		Use:     "list [flags]",
		GroupID: groupRead,
		Short:   "List the entities of a registry",
		Long:    "Lists the entities of a registry by id, all of them or those that the flags select.",
		Example: `  tesd list
  tesd list --type component --parent global:platform
  tesd list --query tariff -o json`,
		Args: cobra.NoArgs,
	}
	t = a.tool(c)
	addType(c, &o.Type, "those")
	c.Flags().StringVar(&o.Parent, "parent", "", "those whose parent is this `entity`")
	suggestFlag(c, "parent", t.suggestEntities)
	c.Flags().StringVar(&o.Query, "query", "", "those that match this `text`")
	return a.command(c, func(ctx context.Context, _ []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		resp, err := c.Registry(ctx, o)
		if err != nil {
			return err
		}
		return a.print(t.format, resp, func(p *page) {
			if len(resp.Entities) > 0 {
				var rows [][]string
				for _, e := range resp.Entities {
					rows = append(rows, []string{e.ID, e.CurrentVersion, e.Type, e.UpdateStrategy, orDash(e.ParentVersionID), e.DisplayName})
				}
				p.table([]string{"ENTITY", "VERSION", "TYPE", "STRATEGY", "PARENT", "NAME"}, rows)
			}
			p.gap()
			p.line("%s of registry %s, %s, at revision %d",
				count(len(resp.Entities), "entity", "entities"), resp.RegistryID, resp.Lifecycle, resp.Revision)
		})
	})
}

// entityType is a type of entities as the value of a flag.
type entityType string

// String, Set and Type make it one.
func (e *entityType) String() string { return string(*e) }

func (e *entityType) Set(s string) error {
	if !fsm.EntityType(s).Valid() {
		return errors.New("not global, component, api-scope, cli-tool or documentation")
	}
	*e = entityType(s)
	return nil
}

func (e *entityType) Type() string { return "type" }

// addType adds a flag that selects what is of a type of entities.
func addType(c *cobra.Command, value *string, what string) {
	c.Flags().Var((*entityType)(value), "type", what+" of this `type`: global, component, api-scope, cli-tool or documentation")
	suggestFlag(c, "type", cobra.FixedCompletions(
		[]cobra.Completion{"global", "component", "api-scope", "cli-tool", "documentation"}, cobra.ShellCompDirectiveNoFileComp))
}

// exported is a registry as export writes it and FILE of migrate and validate reads it.
type exported struct {
	RegistryID string          `json:"registryId"`
	Revision   uint64          `json:"revision"`
	Entities   []client.Entity `json:"entities"`
}

func (a *app) exportCommand() *cobra.Command {
	var t *tool
	c := &cobra.Command{
		Use:     "export [flags]",
		GroupID: groupRead,
		Short:   "Write a whole registry as JSON",
		Long: `Writes a whole registry at one revision as JSON, an object with registryId, revision and
entities. It can be checked by "tesd validate" and imported by "tesd migrate". The history
is not part of it.`,
		Example: `  tesd export > registry.json
  tesd export | tesd migrate - --registry copy`,
		Args: cobra.NoArgs,
	}
	t = a.tool(c)
	c.Flags().Lookup("output").Hidden = true // there is but one way to write it
	return a.command(c, func(ctx context.Context, _ []string) error {
		c, err := t.client()
		if err != nil {
			return err
		}
		resp, err := c.Registry(ctx, client.RegistryOptions{})
		if err != nil {
			return err
		}
		return a.print(formatJSON, exported{resp.RegistryID, resp.Revision, resp.Entities}, nil)
	})
}
