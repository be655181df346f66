package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/client/clienttest"
)

// startShop starts what stands for a cluster in the examples. In its registry are a shop, the cart that
// moves with it, and the search that moves by itself. In a test it is clienttest.New(t).
func startShop() *clienttest.Server {
	srv := clienttest.New(inExample{})
	srv.Seed(
		client.Entity{ID: "global:shop", Type: "global", CurrentVersion: "1.4.2", UpdateStrategy: "independent", DisplayName: "Shop"},
		client.Entity{ID: "component:cart", Type: "component", CurrentVersion: "0.3.0", UpdateStrategy: "linked-to-parent",
			ParentVersionID: "global:shop", DisplayName: "Cart"},
		client.Entity{ID: "component:search", Type: "component", CurrentVersion: "2.0.1", UpdateStrategy: "independent",
			ParentVersionID: "global:shop", DisplayName: "Search"},
	)
	return srv
}

// inExample is what a server has of its test where there is none.
type inExample struct{ testing.TB }

func (inExample) Helper()                           {}
func (inExample) Cleanup(func())                    {} // each example closes its server
func (inExample) Logf(format string, args ...any)   { log.Printf(format, args...) }
func (inExample) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

// Connect to a cluster, and raise a version and all that moves with it.
func Example() {
	srv := startShop() // stands for a cluster
	defer srv.Close()

	c, err := client.New([]string{srv.URL}) // name all nodes, for one may be down
	if err != nil {
		log.Fatal(err)
	}
	resp, err := c.Bump(context.Background(), client.BumpRequest{
		Scope:    client.Minor,
		EntityID: "global:shop",
		Reason:   "the new checkout",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range resp.Changes {
		fmt.Println(change.EntityID, *change.OldVersion, "→", *change.NewVersion)
	}
	fmt.Println("revision", resp.Revision)

	// Output:
	// global:shop 1.4.2 → 1.5.0
	// component:cart 0.3.0 → 0.4.0
	// revision 2
}

// Look at what a bump would do, and make it only if nothing has changed since.
func ExampleClient_Bump_dryRun() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()

	req := client.BumpRequest{Scope: client.Major, EntityID: "global:shop", DryRun: true}
	plan, err := c.Bump(ctx, req)
	if err != nil {
		log.Fatal(err)
	}
	for _, change := range plan.Changes {
		fmt.Println("would raise", change.EntityID, "to", *change.NewVersion)
	}

	req.DryRun = false
	resp, err := c.Bump(ctx, req, client.IfMatch(plan.Revision))
	if err != nil {
		log.Fatal(err) // errors.Is(err, client.ErrConflict): the plan is out of date
	}
	fmt.Println("raised", len(resp.Changes))

	// Output:
	// would raise global:shop to 2.0.0
	// would raise component:cart to 1.0.0
	// raised 2
}

// Raise several entities in one transaction, each by its own scope: all of them or none.
func ExampleClient_Batch() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()

	resp, err := c.Batch(ctx, client.BatchRequest{Requests: []client.BumpRequest{
		{Scope: client.Patch, EntityID: "component:cart"},
		{Scope: client.Minor, EntityID: "component:search", ExpectedVersion: "2.0.1"},
	}})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range resp.Results {
		for _, entity := range result.Bumped {
			fmt.Println(entity.ID, entity.CurrentVersion)
		}
	}

	_, err = c.Batch(ctx, client.BatchRequest{Requests: []client.BumpRequest{
		{Scope: client.Patch, EntityID: "component:cart"},
		{Scope: client.Patch, EntityID: "component:basket"},
	}})
	if refused, ok := errors.AsType[*client.Error](err); ok {
		fmt.Println(refused.Code, "by", refused.Details[0].Path)
	}
	fmt.Println("the cart is still at", srv.Version("component:cart"))

	// Output:
	// component:cart 0.3.1
	// component:search 2.1.0
	// ENTITY_NOT_FOUND by requests[1]
	// the cart is still at 0.3.1
}

// Read an entity as fresh as it is needed.
func ExampleClient_Entity() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()

	bumped, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch, EntityID: "component:search"})
	if err != nil {
		log.Fatal(err)
	}
	for _, options := range [][]client.ReadOption{
		nil,                                   // all that was acknowledged to anyone before now: linearizable
		{client.MinRevision(bumped.Revision)}, // at least what this process has written
		{client.MaxStale(2 * time.Second)},    // at most two seconds old
		{client.Stale()},                      // whatever the node has, even if it is cut off
	} {
		resp, err := c.Entity(ctx, "component:search", options...)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Entity.CurrentVersion, "at revision", resp.Revision)
	}

	// Output:
	// 2.0.2 at revision 2
	// 2.0.2 at revision 2
	// 2.0.2 at revision 2
	// 2.0.2 at revision 2
}

// List the components. The iterator reads page after page, as the loop comes to it.
func ExampleClient_Entities() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()

	for entity, err := range c.Entities(ctx, client.RegistryOptions{Type: "component"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entity.DisplayName, entity.CurrentVersion)
	}

	// Output:
	// Cart 0.3.0
	// Search 2.0.1
}

// Go through the history, oldest transaction first, page after page.
func ExampleClient_Events() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()
	if _, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch, EntityID: "component:search"}); err != nil {
		log.Fatal(err)
	}

	for event, err := range c.Events(ctx, client.HistoryOptions{EntityID: "component:search"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(event.Revision, event.Kind, event.Actor)
	}

	// Output:
	// 1 migrate anonymous
	// 2 bump anonymous
}

// Add an entity, change all of it but its version, and take it out again.
func ExampleClient_Put() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()

	docs := client.Entity{ID: "docs:guide", Type: "documentation", CurrentVersion: "1.0.0", UpdateStrategy: "linked-to-parent",
		ParentVersionID: "global:shop", DisplayName: "Guide"}
	if _, err := c.Put(ctx, docs, client.CreateOnly()); err != nil {
		log.Fatal(err) // errors.Is(err, client.ErrConflict): there is one already
	}
	docs.DisplayName, docs.CurrentVersion = "Shop guide", "" // which keeps the version
	put, err := c.Put(ctx, docs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(put.Entity.DisplayName, put.Entity.CurrentVersion)
	gone, err := c.Delete(ctx, "docs:guide")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("removed at", *gone.Changes[0].OldVersion)

	// Output:
	// Shop guide 1.0.0
	// removed at 1.0.0
}

// Begin a registry of a product's own. It comes into being by this.
func ExampleClient_Migrate() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(client.WithRegistry("billing")), context.Background()

	resp, err := c.Migrate(ctx, client.MigrateRequest{Source: "file:billing.json", Entities: []client.Entity{
		{ID: "global:billing", Type: "global", CurrentVersion: "1.0.0", UpdateStrategy: "independent", DisplayName: "Billing"},
	}})
	if err != nil {
		log.Fatal(err) // an *Error whose Validation has all that is wrong with the entities
	}
	fmt.Println(resp.EntitiesMigrated, "entity, revision", resp.Revision)

	// Output:
	// 1 entity, revision 1
}

// Keep a backup. "tesd restore" makes a new cluster of it.
func ExampleClient_Backup() {
	srv := startShop()
	defer srv.Close()

	f, err := os.CreateTemp("", "tesd-*.backup") // readable by its owner alone
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	backup, err := srv.Client().Backup(context.Background(), f)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		log.Fatal(err) // what has been written so far is of no use
	}
	fmt.Println("complete:", backup.Bytes > 0 && len(backup.StateHash) == 64)

	// Output:
	// complete: true
}

// Follow the registry: first what has happened, then what happens. A loop that should miss nothing over the
// restarts of its program keeps the revision that it has come to, and begins behind it.
func ExampleClient_Watch() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()
	if _, err := c.Bump(ctx, client.BumpRequest{Scope: client.Minor, EntityID: "component:search"}); err != nil {
		log.Fatal(err)
	}

	for event, err := range c.Watch(ctx, client.WatchOptions{Since: 1, Entity: "component:*"}) {
		switch {
		case errors.Is(err, client.ErrGap):
			log.Fatal("read the registry anew, and watch behind its revision: ", err)
		case err != nil:
			log.Fatal(err)
		}
		fmt.Println(event.Revision, event.Kind, event.Changes[0].EntityID, *event.Changes[0].NewVersion)
		break // else it goes on
	}

	// Output:
	// 2 bump component:search 2.1.0
}

// Decide by the class of an error, or by its code.
func ExampleError() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()

	for _, req := range []client.BumpRequest{
		{Scope: client.Patch, EntityID: "component:basket"},
		{Scope: client.Patch, EntityID: "global:shop", ExpectedVersion: "1.4.1"},
		{Scope: "huge"},
	} {
		_, err := c.Bump(ctx, req)
		if errors.Is(err, client.ErrConflict) {
			fmt.Println("somebody was faster")
		}
		failed, ok := errors.AsType[*client.Error](err)
		if !ok {
			log.Fatal(err)
		}
		switch failed.Code {
		case client.CodeEntityNotFound, client.CodeVersionConflict:
			fmt.Println(failed.Message)
		default:
			fmt.Println(failed.Code, failed.Details[0].Path)
		}
	}

	// Output:
	// entity "component:basket" does not exist in registry "tes-registry-v1"
	// somebody was faster
	// version of "global:shop" is "1.4.2", not "1.4.1"
	// INVALID_REQUEST scope
}

// Raise a version once, however often the job runs. Its first process gets no answer: the leader
// dies after it has applied the bump.
func ExampleIdempotencyKey() {
	srv := startShop()
	defer srv.Close()

	const job = "ci-4711" // the same for each process of the job, and for no other job
	run := func() (*client.BumpResponse, error) {
		c := srv.Client(client.WithTimeout(900 * time.Millisecond))
		req := client.BumpRequest{Scope: client.Minor, EntityID: "global:shop"}
		return c.Bump(context.Background(), req, client.IdempotencyKey(job))
	}

	srv.LoseAnswers(1)
	srv.FailNext(2, client.CodeNoLeader)
	_, err := run()
	fmt.Println("may be applied:", errors.Is(err, client.ErrUnknownOutcome))

	resp, err := run() // by another process, up to a day later
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("replayed:", resp.Replayed)
	fmt.Println("the shop is at", srv.Version("global:shop"))

	// Output:
	// may be applied: true
	// replayed: true
	// the shop is at 1.5.0
}

// Check the receipt of a transaction, without asking the cluster whether it is right.
func ExampleVerifier_VerifyReceipt() {
	srv := startShop()
	defer srv.Close()
	c := srv.Client()

	receipt, err := c.Receipt(context.Background(), 1)
	if err != nil {
		log.Fatal(err)
	}
	verifier := client.Verifier{Key: srv.SigningKey()}
	done, err := verifier.VerifyReceipt(*receipt)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed:", done.Signatures)

	receipt.Payload += " " // the smallest of changes
	_, err = verifier.VerifyReceipt(*receipt)
	fmt.Println(errors.Is(err, client.ErrVerification), err)

	// Output:
	// signed: true
	// true revision 1: verification failed: the hash is not that of the payload
}

// Check a whole history: that nothing in it was changed, added or left out.
func ExampleVerifier_VerifyHistory() {
	srv := startShop()
	defer srv.Close()
	c, ctx := srv.Client(), context.Background()
	for range 3 {
		if _, err := c.Bump(ctx, client.BumpRequest{Scope: client.Patch}); err != nil {
			log.Fatal(err)
		}
	}

	var events []client.Event
	for event, err := range c.Events(ctx, client.HistoryOptions{Receipts: true}) {
		if err != nil {
			log.Fatal(err)
		}
		events = append(events, event)
	}
	done, err := client.Verifier{Key: srv.SigningKey()}.VerifyHistory(events)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("revisions", done.First, "to", done.Last, "- whole:", done.Complete)

	// Output: revisions 1 to 4 - whole: true
}
