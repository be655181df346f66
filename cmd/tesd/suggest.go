package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/tesd/tesd/client"
)

// suggestWithin is how long the cluster may take over suggestions: somebody waits for them
// with a half-typed command.
const suggestWithin = time.Second

// suggest completes by what ask finds in the cluster. It must not disturb who types: when
// the cluster cannot be asked, there are no suggestions and no words about it. Stale answers
// will do, and come without a quorum too.
func (t *tool) suggest(c *cobra.Command, ask func(context.Context, *client.Client) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), suggestWithin)
	defer cancel()
	cluster, err := t.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, err := ask(ctx, cluster)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// suggestEntities completes the id of an entity. Of a large registry it sees the first
// entities that match.
func (t *tool) suggestEntities(c *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return t.suggest(c, func(ctx context.Context, cluster *client.Client) (found []cobra.Completion, err error) {
		resp, err := cluster.Registry(ctx, client.RegistryOptions{Query: prefix, Limit: maxPage}, client.Stale())
		if err != nil {
			return nil, err
		}
		for _, e := range resp.Entities { // the query looks for the prefix anywhere
			if strings.HasPrefix(e.ID, prefix) {
				found = append(found, cobra.CompletionWithDesc(e.ID, printable(e.CurrentVersion+" "+e.DisplayName)))
			}
		}
		return found, nil
	})
}

// suggestRegistries completes the id of a registry.
func (t *tool) suggestRegistries(c *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return t.suggest(c, func(ctx context.Context, cluster *client.Client) (found []cobra.Completion, err error) {
		resp, err := cluster.Registries(ctx, client.Stale())
		if err != nil {
			return nil, err
		}
		for _, r := range resp.Registries {
			if strings.HasPrefix(r.RegistryID, prefix) {
				found = append(found, cobra.CompletionWithDesc(r.RegistryID, count(r.Entities, "entity", "entities")))
			}
		}
		return found, nil
	})
}

// suggestNodes completes the id of a node.
func (t *tool) suggestNodes(c *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return t.suggest(c, func(ctx context.Context, cluster *client.Client) (found []cobra.Completion, err error) {
		resp, err := cluster.Cluster(ctx)
		if err != nil {
			return nil, err
		}
		for _, n := range resp.Nodes {
			if strings.HasPrefix(n.ID, prefix) {
				found = append(found, cobra.CompletionWithDesc(n.ID, printable(deref(n.Role)+" "+n.Address)))
			}
		}
		return found, nil
	})
}

// suggestFiles leaves the completion to the shell, which knows the files.
func suggestFiles(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// suggestDirs is suggestFiles for directories alone.
func suggestDirs(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// suggestOne completes the first argument by f, and no other.
func suggestOne(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, prefix)
	}
}

// suggestFlag completes the value of a flag by f.
func suggestFlag(c *cobra.Command, name string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
		panic(err) // the flag does not exist, or has one: a mistake of this package
	}
}

// suggestByName completes what the help of a command says enough about: values that are
// called file or dir, or are a choice such as table|json, and an argument FILE.
func suggestByName(c *cobra.Command) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		switch kind, _ := pflag.UnquoteUsage(f); {
		case kind == "file":
			suggestFlag(c, f.Name, suggestFiles)
		case kind == "dir":
			suggestFlag(c, f.Name, suggestDirs)
		case strings.Contains(kind, "|"):
			suggestFlag(c, f.Name, cobra.FixedCompletions(strings.Split(kind, "|"), cobra.ShellCompDirectiveNoFileComp))
		}
	})
	if c.ValidArgsFunction == nil && strings.Contains(c.Use, "FILE") {
		c.ValidArgsFunction = suggestOne(suggestFiles)
	}
}
