package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/intake"
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
		history bool
		keys    keyFlags
		t       *tool
	)
	c := &cobra.Command{
		Use:     "verify <FILE | --history> [flags]",
		GroupID: groupOffline,
		Short:   "Check receipts: that they are what the cluster signed",
		Long: `Checks receipts: that hash and signature are those of the payload, that each transaction
carries the hash of the one before it, and that what is told of a transaction is what was
signed.

FILE is JSON, one receipt or a history with receipts, such as "tesd history --receipts
-o json" writes; "-" is standard input. It is checked without a server. With --history the
whole history is read from the cluster.

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
	addKeyFlags(c, &keys)
	return a.command(c, func(ctx context.Context, args []string) error {
		if history == (len(args) == 1) {
			return usagef("name a file, or give --history")
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
			done, err = a.verifyFile(v, args[0])
		}
		return a.verdict(t.format, key, done, err)
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

// verifyFile checks a receipt or a history in a file.
func (a *app) verifyFile(v client.Verifier, path string) (client.Verified, error) {
	raw, err := a.readInput(path)
	if err != nil {
		return client.Verified{}, fmt.Errorf("reading receipts: %w", err)
	}
	var file struct {
		client.Receipt
		Events         *[]client.Event `json:"events"`
		OldestRevision uint64          `json:"oldestRevision"`
		Next           uint64          `json:"next"`
	}
	if intake.IsArray(raw) {
		file.Events = new([]client.Event)
		err = json.Unmarshal(raw, file.Events)
	} else {
		err = json.Unmarshal(raw, &file)
	}
	switch {
	case err != nil:
		return client.Verified{}, fmt.Errorf("%s: %w", path, err)
	case file.Events == nil && file.Payload == "":
		return client.Verified{}, fmt.Errorf("%s: neither a receipt nor a history", path)
	case file.Events == nil:
		return v.VerifyReceipt(file.Receipt)
	}
	if len(*file.Events) == 0 && file.Revision == 0 && file.OldestRevision == 0 {
		return client.Verified{}, fmt.Errorf("%s: there are no transactions in it", path) // nothing that could have been false
	}
	done, err := v.VerifyHistory(*file.Events)
	if err == nil && file.Next == 0 && !intake.IsArray(raw) {
		err = checkEnd(done, file.Revision)
	}
	return done, err
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
	Complete   bool   `json:"complete"`
	Signatures bool   `json:"signatures"` // were checked
	KeyID      string `json:"keyId,omitempty"`

	FailedRevision *uint64 `json:"failedRevision,omitempty"`
	Reason         string  `json:"reason,omitempty"`
}

// verdict writes what was checked and found right, and returns err. An error that is none
// of verification leaves nothing to write.
func (a *app) verdict(f format, key []byte, done client.Verified, err error) error {
	failed, unverified := errors.AsType[*client.VerificationError](err)
	if err != nil && !unverified {
		return err
	}
	if len(key) == 0 {
		a.tell(noKeyText)
	}
	out := verification{
		Verified: err == nil, Receipts: done.Receipts, RegistryID: done.RegistryID, ClusterID: done.ClusterID,
		First: done.First, Last: done.Last, Head: done.Head, Complete: done.Complete, Signatures: done.Signatures,
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
	if v.Complete {
		revisions += ", from the very first on"
	} else {
		revisions += "; what came before was not checked"
	}
	signatures := "NOT CHECKED, for want of a key"
	if v.Signatures {
		signatures = "made with key " + v.KeyID
	}
	p.facts("verified", count(v.Receipts, "transaction", "transactions"), "registry", v.RegistryID, "cluster", v.ClusterID,
		"revisions", revisions, "head", v.Head, "signatures", signatures)
}
