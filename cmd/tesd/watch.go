package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
)

// watchFlags are the flags of watch.
type watchFlags struct {
	o       client.WatchOptions
	limit   int
	bounded bool // by --timeout
	exec    string
	verify  bool
	key     keyFlags
}

func (a *app) watchCommand() *cobra.Command {
	var (
		f watchFlags
		t *tool
	)
	c := &cobra.Command{
		Use:     "watch [flags]",
		GroupID: groupRead,
		Short:   "Show transactions as they commit",
		Long: `Shows the transactions of a registry as they commit, each once, in order, none missing:
from now on, or with --since all those behind a revision first. It goes on at another node
when the one that it is connected to fails, and ends when it is interrupted, or has shown as
many as --limit says. If --timeout is given, the watch as a whole takes no longer, and ends
then with exit code 5.

--filter and --type leave out what moved no such entity; of a transaction that moved one
all changes are told. -o json writes an object a line.

--exec runs a command by the shell for each transaction, one after the other, with the
transaction as JSON on its standard input and its revision in TESD_REVISION. If the command
fails, the watch ends, and says with which --since it goes on at that transaction.

--verify checks what is shown as "tesd verify" does; what does not hold ends the watch with
exit code 8. A watch that cannot go on without a gap ends with 3: what is behind --since is no
longer kept, or not there yet, or the cluster is another one.`,
		Example: `  tesd watch
  tesd watch --since 0 -o json
  tesd watch --filter 'component:*' --exec 'jq -r .changes[].newVersion'
  tesd watch --since 41 --limit 1 --timeout 10m`,
		Args: cobra.NoArgs,
	}
	t = a.tool(c)
	c.Flags().Lookup("timeout").Usage = "how long the watch as a whole may take (default without end, each request as long as elsewhere)"
	c.Flags().Lookup("timeout").DefValue = "0s" // which is not shown
	c.Flags().Uint64Var(&f.o.Since, "since", 0, "begin behind this `revision`; 0 for the whole history (default with what comes from now on)")
	c.Flags().StringVar(&f.o.Entity, "filter", "", "only what moved an entity whose id matches this `glob`: * is any characters, ? is one")
	addType(c, &f.o.Type, "only what moved an entity")
	c.Flags().IntVar(&f.limit, "limit", 0, "end after `N` transactions")
	c.Flags().StringVar(&f.exec, "exec", "", "run this `command` for each")
	c.Flags().BoolVar(&f.verify, "verify", false, "check receipts: hashes, the chain and, with the key, signatures")
	addKeyFlags(c, &f.key)
	return a.command(c, func(ctx context.Context, _ []string) error {
		f.o.Now = !c.Flags().Changed("since")
		f.bounded = c.Flags().Changed("timeout")
		switch given := c.Flags().Changed; {
		case given("limit") && f.limit < 1:
			return usagef("--limit is %d, not above 0", f.limit)
		case given("exec") && f.exec == "":
			return usagef("--exec is empty")
		case !f.verify && f.key.given():
			return usagef("a key is given without --verify")
		}
		if f.verify {
			key, err := a.signingKey(f.key)
			if err != nil {
				return err
			}
			if len(key) == 0 {
				a.tell(noKeyText)
			}
			f.o.Verifier = &client.Verifier{Key: key}
		}
		return t.watch(ctx, f)
	})
}

// watch shows transactions until it is interrupted, which is how most watches end well.
func (t *tool) watch(ctx context.Context, f watchFlags) error {
	c, err := t.client()
	if err != nil {
		return err
	}
	told := make(map[string]time.Time)
	f.o.Trouble = func(err error) { // as often as there is something new to say
		text := printable(err.Error())
		if now := time.Now(); now.Sub(told[text]) > time.Minute {
			told[text] = now
			t.app.tell("The watch lost its connection and goes on where it can: %s\n", text)
		}
	}
	interrupted, shown := ctx, 0
	if f.bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.timeout)
		defer cancel()
	}
	for e, err := range c.Watch(ctx, f.o) {
		switch {
		case err != nil && interrupted.Err() != nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			return &lateError{fmt.Sprintf("the watch saw %s in %v", count(shown, "transaction", "transactions"), t.timeout)}
		case err != nil:
			return err
		}
		if err := t.show(f, e); err != nil {
			return err
		}
		if shown++; shown == f.limit {
			break
		}
	}
	return nil
}

// show does with a transaction what the watch is for.
func (t *tool) show(f watchFlags, e client.Event) error {
	text, err := eventJSON(e)
	if err != nil {
		return err
	}
	if f.exec != "" {
		return t.app.execute(f.exec, e.Revision, text)
	}
	if t.format == formatTable {
		var out bytes.Buffer
		(&page{out: &out}).event(e, f.o.Entity)
		text = out.Bytes()
	}
	if _, err := t.app.stdout.Write(text); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// eventJSON is an event in one line.
func eventJSON(e client.Event) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encoding the output: %w", err)
	}
	return out.Bytes(), nil
}

// event is a transaction in one line. The columns are as wide as most need: the lines to
// come are not known.
func (p *page) event(e client.Event, filter string) {
	p.line("%-6d  %s  %-7s  %s", e.Revision, timeText(e.Timestamp), e.Kind, changesText(e.Changes, filter))
}

// execute runs a command for an event, to its end: an interruption ends the watch behind it.
func (a *app) execute(command string, revision uint64, event []byte) error {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = append(a.environ, "TESD_REVISION="+strconv.FormatUint(revision, 10))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(event), a.stdout, a.stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the command for revision %d failed: %w; to go on with it: --since %d", revision, err, revision-1)
	}
	return nil
}
