package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
)

// defaultKeyEnv is the environment variable that holds the signing key unless told otherwise.
const defaultKeyEnv = "VERSION_SIGNING_KEY"

// keyFlags say where the signing key to check with is.
type keyFlags struct {
	env, file string
	envGiven  func() bool
}

// addKeyFlags adds them to a command.
func addKeyFlags(c *cobra.Command, f *keyFlags) {
	c.Flags().StringVar(&f.env, "signing-key-env", defaultKeyEnv, "`name` of the environment variable that holds the signing key")
	c.Flags().StringVar(&f.file, "key-file", "", "`file` that holds the signing key")
	f.envGiven = func() bool { return c.Flags().Changed("signing-key-env") }
}

// given reports whether a key was asked for.
func (f *keyFlags) given() bool { return f.file != "" || f.envGiven() }

func (a *app) verifyCommand() *cobra.Command {
	var (
		history, each bool
		keys          keyFlags
		t             *tool
	)
	c := &cobra.Command{
		Use:     "verify <FILE | --history> [flags]",
		GroupID: groupOffline,
		Short:   "Check receipts: that they are what the cluster signed",
		Long: `Checks receipts: that hash and signature are those of the payload, that each transaction
carries the hash of the one before it, and that what is told of a transaction is what was
signed.

FILE is JSON, one receipt or transactions with receipts, such as "tesd history --receipts
-o json" writes; "-" is standard input. It is checked without a server. Of a history none may be
missing between two others, unless --each says to look at each by itself. With --history the whole
history is read from the cluster.

The key is the value of the environment variable that --signing-key-env names, or what
--key-file holds, byte by byte. Without a key only hashes and the chain are checked: that
shows damage, but not a forgery by one who wrote the whole history anew.

What does not hold makes the exit code 8.`,
		Example: `  tesd verify --history
  tesd history --receipts -o json > history.json && tesd verify history.json
  curl -s http://127.0.0.1:8001/version/receipts/12 | tesd verify - --key-file key`,
		Args: cobra.MaximumNArgs(1),
	}
	t = a.tool(c)
	c.Flags().BoolVar(&history, "history", false, "check the whole history of the registry")
	c.Flags().BoolVar(&each, "each", false, "check each by itself, and not that none is missing between them")
	addKeyFlags(c, &keys)
	return a.command(c, func(ctx context.Context, args []string) error {
		if history == (len(args) == 1) {
			return usagef("name a file, or give --history")
		} else if history && each {
			return usagef("--each is for a file")
		}
		key, err := a.signingKey(keys)
		if err != nil {
			return err
		}
		v := client.Verifier{Key: key}
		var done client.Verified
		if history {
			done, err = t.verifyHistory(ctx, v)
		} else {
			done, err = a.verifyFile(v, args[0], each)
		}
		return a.verdict(t.format, key, done, !each, err)
	})
}

// signingKey returns the key to check with, nil for none.
func (a *app) signingKey(f keyFlags) ([]byte, error) {
	if f.file != "" {
		if f.envGiven() {
			return nil, usagef("--key-file and --signing-key-env exclude each other")
		}
		key, err := os.ReadFile(f.file)
		if err == nil && len(key) == 0 {
			err = fmt.Errorf("%s is empty", f.file)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the signing key: %w", err)
		}
		return key, nil
	}
	key := a.getenv(f.env)
	if key == "" && f.envGiven() {
		// Who names a variable wants signatures checked; to check less would not be noticed.
		return nil, usagef("--signing-key-env names %s, which is not set", f.env)
	}
	return []byte(key), nil
}

// checkEnd checks that a history reaches the revision that the registry was at.
func checkEnd(done client.Verified, revision uint64) error {
	if done.Last >= revision {
		return nil
	}
	return &client.VerificationError{Revision: done.Last + 1,
		Reason: fmt.Sprintf("it is missing: the registry was at revision %d, and the history ends before", revision)}
}

// verifyHistory checks the whole history of the registry, page by page, each beginning
// with the last transaction of the one before.
func (t *tool) verifyHistory(ctx context.Context, v client.Verifier) (client.Verified, error) {
	c, err := t.client()
	if err != nil {
		return client.Verified{}, err
	}
	var (
		wanted = cmp.Or(t.registry, t.app.getenv("TESD_REGISTRY")) // "" for the default one, whatever its id
		whole  client.Verified
		last   []client.Event // of the page before
		o      = client.HistoryOptions{Limit: maxPage, Receipts: true}
	)
	for {
		resp, err := nextPage(ctx, c, o, 0)
		if err != nil {
			return whole, err
		}
		done, err := v.VerifyHistory(slices.Concat(last, resp.Events))
		if whole.Receipts == 0 {
			whole = done
		} else if done.Receipts > 0 {
			whole.Receipts += done.Receipts - len(last)
			whole.ClusterID, whole.Last, whole.Head = done.ClusterID, done.Last, done.Head
		}
		switch {
		case err != nil:
			return whole, err
		case wanted != "" && whole.Receipts > 0 && whole.RegistryID != wanted:
			return whole, &client.VerificationError{Revision: whole.First,
				Reason: fmt.Sprintf("it is of registry %q, not %q", whole.RegistryID, wanted)}
		case whole.Receipts > 0 && whole.First > max(resp.OldestRevision, 1):
			return whole, &client.VerificationError{Revision: whole.First - 1,
				Reason: fmt.Sprintf("it is missing: the cluster keeps the history from revision %d on", resp.OldestRevision)}
		case resp.Next == 0:
			return whole, checkEnd(whole, resp.Revision)
		case len(resp.Events) == 0 || resp.Next != whole.Last:
			return whole, fmt.Errorf("the server's pages have gaps: after revision %d comes %d", whole.Last, resp.Next)
		}
		o.After, last = resp.Next, resp.Events[len(resp.Events)-1:]
	}
}

// noKeyText says what is not checked for want of a key.
const noKeyText = "No signing key is given: only hashes and the chain are checked, not the signatures.\n"

// verification is the outcome of verify as JSON.
type verification struct {
	Verified   bool   `json:"verified"`
	Receipts   int    `json:"receipts"`
	RegistryID string `json:"registryId,omitempty"`
	ClusterID  string `json:"clusterId,omitempty"`
	First      uint64 `json:"first,omitempty"`
	Last       uint64 `json:"last,omitempty"`
	Head       string `json:"head,omitempty"`
	Chain      bool   `json:"chain"` // each carries the hash of the one before it, and none is missing between
	Complete   bool   `json:"complete"`
	Signatures bool   `json:"signatures"` // were checked
	KeyID      string `json:"keyId,omitempty"`

	FailedRevision *uint64 `json:"failedRevision,omitempty"`
	Reason         string  `json:"reason,omitempty"`
}

// verdict writes what was checked and found right, and returns err. An error that is none
// of verification leaves nothing to write.
func (a *app) verdict(f format, key []byte, done client.Verified, chain bool, err error) error {
	failed, unverified := errors.AsType[*client.VerificationError](err)
	if err != nil && !unverified {
		return err
	}
	if len(key) == 0 {
		a.tell(noKeyText)
	}
	out := verification{
		Verified: err == nil, Receipts: done.Receipts, RegistryID: done.RegistryID, ClusterID: done.ClusterID,
		First: done.First, Last: done.Last, Head: done.Head, Chain: chain, Complete: done.Complete, Signatures: done.Signatures,
	}
	if len(key) > 0 {
		out.KeyID = client.KeyID(key)
	}
	if unverified {
		out.FailedRevision, out.Reason = &failed.Revision, failed.Reason
	}
	return cmp.Or(a.print(f, out, func(p *page) { p.verification(out) }), err)
}

func (p *page) verification(v verification) {
	if !v.Verified {
		p.line("NOT VERIFIED: revision %d: %s", *v.FailedRevision, v.Reason)
		return
	}
	if v.Receipts == 0 {
		p.line("there are no transactions to verify")
		return
	}
	revisions := fmt.Sprintf("%d to %d", v.First, v.Last)
	if v.First == v.Last {
		revisions = fmt.Sprint(v.First)
	}
	switch {
	case !v.Chain:
		revisions += "; that none is missing was not checked"
	case v.Complete:
		revisions += ", from the very first on"
	default:
		revisions += "; what came before was not checked"
	}
	signatures := "NOT CHECKED, for want of a key"
	if v.Signatures {
		signatures = "made with key " + v.KeyID
	}
	p.facts("verified", count(v.Receipts, "transaction", "transactions"), "registry", v.RegistryID, "cluster", v.ClusterID,
		"revisions", revisions, "head", orDash(v.Head), "signatures", signatures)
}
