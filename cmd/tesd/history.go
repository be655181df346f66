package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/glob"
)

// maxPage is how many transactions a server gives at once.
const maxPage = 1000

func (a *app) historyCommand() *cobra.Command {
	var (
		o client.HistoryOptions
		t *tool
	)
	c := &cobra.Command{
		Use:     "history [ENTITY] [flags]",
		GroupID: groupRead,
		Short:   "Show the transactions of a registry",
		Long: `Shows the transactions of a registry, or those that changed ENTITY, oldest first: all of
them, the newest with --last, or --limit of them --after a revision.

With --receipts each comes with the receipt that was signed. The whole history with its
receipts, as JSON, is what "tesd verify FILE" checks.`,
		Example: `  tesd history --last 10
  tesd history component:booking-service
  tesd history --after 100 --limit 20
  tesd history --receipts -o json > history.json`,
		Args: cobra.MaximumNArgs(1),
	}
	t = a.tool(c)
	c.ValidArgsFunction = suggestOne(t.suggestEntities)
	c.Flags().IntVar(&o.Last, "last", 0, "the newest `N` only, at most 1000")
	c.Flags().Uint64Var(&o.After, "after", 0, "those after this `revision`")
	c.Flags().IntVar(&o.Limit, "limit", 0, "at most `N`")
	c.Flags().BoolVar(&o.Receipts, "receipts", false, "each with its receipt")
	return a.command(c, func(ctx context.Context, args []string) error {
		given := c.Flags().Changed
		switch {
		case given("last") && (given("after") || given("limit")):
			return usagef("--last excludes --after and --limit")
		case given("last") && (o.Last < 1 || o.Last > maxPage):
			return usagef("--last is %d, not between 1 and %d", o.Last, maxPage)
		case given("limit") && o.Limit < 1:
			return usagef("--limit is %d, not above 0", o.Limit)
		}
		o.All = given("after")
		if len(args) == 1 {
			o.EntityID = args[0]
			if err := fsm.CheckEntityID(o.EntityID); err != nil {
				return usagef("%v", err)
			}
		}
		c, err := t.client()
		if err != nil {
			return err
		}
		return a.history(ctx, c, t.format, o)
	})
}

func (a *app) history(ctx context.Context, c *client.Client, f format, o client.HistoryOptions) error {
	var whole client.HistoryResponse
	for {
		page, err := nextPage(ctx, c, o, len(whole.Events))
		if err != nil {
			return err
		}
		whole.Events = append(whole.Events, page.Events...)
		whole.Revision, whole.OldestRevision, whole.Next = page.Revision, page.OldestRevision, page.Next
		if page.Next == 0 || len(whole.Events) == o.Limit {
			break
		}
		o.After = page.Next
	}
	if whole.Events == nil {
		whole.Events = []client.Event{}
	}
	return a.print(f, whole, func(p *page) { p.history(whole, o) })
}

// nextPage reads the page of a history after those that have got transactions already.
func nextPage(ctx context.Context, c *client.Client, o client.HistoryOptions, got int) (*client.HistoryResponse, error) {
	if o.Last == 0 {
		o.Limit = min(maxPage, max(o.Limit-got, 0))
	}
	resp, err := c.History(ctx, o)
	if err != nil {
		return nil, err
	}
	if resp.Next != 0 && resp.Next <= o.After {
		return nil, fmt.Errorf("the server's pages go in circles: after revision %d comes %d", o.After, resp.Next)
	}
	return resp, nil
}

func (p *page) history(h client.HistoryResponse, o client.HistoryOptions) {
	if len(h.Events) > 0 {
		header := []string{"REVISION", "TIME", "KIND", "ACTOR", "CHANGES", "TRANSACTION"}
		if o.Receipts {
			header = append(header, "KEY", "HASH")
		}
		var rows [][]string
		for _, e := range h.Events {
			row := []string{
				strconv.FormatUint(e.Revision, 10), timeText(e.Timestamp),
				e.Kind, e.Actor, changesText(e.Changes, o.EntityID), e.TransactionID,
			}
			if o.Receipts {
				row = append(row, e.KeyID, e.Hash)
			}
			rows = append(rows, row)
		}
		p.table(header, rows)
	}
	p.gap()
	p.line("%s; the registry is at revision %d", count(len(h.Events), "transaction", "transactions"), h.Revision)
	if h.OldestRevision > 1 {
		p.line("revisions before %d are no longer kept", h.OldestRevision)
	}
	if h.Next != 0 {
		p.line("there are more: --after %d", h.Next)
	}
}

// timeText is a time of Unix milliseconds, for people.
func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// changesText tells a transaction's changes in one line: the first of an entity that was
// asked for, by its id or a glob, or the first of all, and how many more there are.
func changesText(changes []client.Change, asked string) string {
	if len(changes) == 0 {
		return "-"
	}
	shown := changes[0]
	for _, c := range changes {
		if glob.Match(asked, c.EntityID) {
			shown = c
			break
		}
	}
	text := shown.EntityID + " "
	switch {
	case shown.OldVersion == nil:
		text += "created at " + deref(shown.NewVersion)
	case shown.NewVersion == nil:
		text += "removed at " + deref(shown.OldVersion)
	case *shown.OldVersion == *shown.NewVersion:
		text += "replaced at " + *shown.NewVersion
	default:
		text += *shown.OldVersion + " → " + *shown.NewVersion
	}
	if more := len(changes) - 1; more > 0 {
		text += fmt.Sprintf(" (+%d)", more)
	}
	return text
}
