package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
)

func (a *app) batchCommand() *cobra.Command {
	var (
		dryRun bool
		t      *tool
	)
	c := &cobra.Command{
		Use:     "batch FILE [flags]",
		GroupID: groupWrite,
		Short:   "Make several bumps in one transaction",
		Long: `Makes the bumps in FILE in one transaction: all of them or none, in order, each seeing
what those before it did. FILE is JSON, an array of bumps or an object with "requests";
"-" is standard input. A bump has scope, and as needed entityId, cascade,
expectedVersion and reason.`,
		Example: `  tesd batch release.json --dry-run
  echo '[{"scope":"minor","entityId":"component:booking-service"},{"scope":"patch","entityId":"@harbor/ui"}]' | tesd batch -`,
		Args: cobra.ExactArgs(1),
	}
	t = a.writer(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would move, and change nothing")
	return a.command(c, func(ctx context.Context, args []string) error {
		raw, err := a.readInput(args[0])
		if err != nil {
			return fmt.Errorf("reading the batch: %w", err)
		}
		req, err := decodeBatch(raw)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		req.DryRun = req.DryRun || dryRun
		return a.batch(ctx, t, req)
	})
}

// decodeBatch reads a batch: an array of bumps, or an object with "requests".
func decodeBatch(raw []byte) (client.BatchRequest, error) {
	var f intake.Faults
	op, dryRun, ok := intake.BatchFile(raw, &f)
	if ok {
		for _, p := range (&fsm.Command{Registry: client.DefaultRegistry, Op: op}).Check() {
			f.Add(p.Path, "%s", p.Message)
		}
	}
	if err := shapeFault(&f); err != nil {
		return client.BatchRequest{}, err
	}
	req := client.BatchRequest{DryRun: dryRun}
	for _, b := range op.(fsm.Batch).Requests {
		req.Requests = append(req.Requests, client.BumpRequest{
			Scope: client.Scope(b.Scope.String()), EntityID: b.EntityID, Cascade: &b.Cascade,
			ExpectedVersion: b.ExpectedVersion, Reason: b.Reason,
		})
	}
	return req, nil
}

func (a *app) batch(ctx context.Context, t *tool, req client.BatchRequest) error {
	c, key, err := t.write()
	if err != nil {
		return err
	}
	resp, err := c.Batch(ctx, req, key)
	if err != nil {
		return err
	}
	a.replayed(resp.Replayed)
	return a.printDone(t.format, resp, resp.RegistryID, resp.Revision, func(p *page) {
		moves := 0
		for i, result := range resp.Results {
			p.gap()
			p.line("%s", batchTitle(i, req))
			if resp.DryRun {
				p.tree(result.Bumped, result.Changes)
			} else {
				p.table(nil, changeRows(result.Changes))
			}
			moves += len(result.Changes)
		}
		p.gap()
		if resp.DryRun {
			p.facts("registry", resp.RegistryID, "revision", fmt.Sprint(resp.Revision),
				"dry run", count(moves, "move", "moves")+"; nothing was changed")
			return
		}
		p.transaction(resp.RegistryID, resp.Revision, resp.TransactionID, resp.KeyID)
	})
}

// batchTitle says what the request was whose result stands at place i.
func batchTitle(i int, req client.BatchRequest) string {
	title := fmt.Sprintf("requests[%d]", i)
	if i >= len(req.Requests) {
		return title
	}
	what := req.Requests[i].EntityID
	if what == "" {
		what = "all entities"
	}
	return fmt.Sprintf("%s: %s %s", title, req.Requests[i].Scope, what)
}
