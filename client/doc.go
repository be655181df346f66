// Package client talks to a tesd cluster: it raises versions, reads them, and checks offline what the
// cluster has signed. It holds the types of the wire, which the server and the command line use too.
//
//	c, err := client.New([]string{"http://10.0.0.1:8001", "http://10.0.0.2:8001", "http://10.0.0.3:8001"})
//	if err != nil {
//		return err
//	}
//	resp, err := c.Bump(ctx, client.BumpRequest{Scope: client.Minor, EntityID: "component:checkout"})
//	switch {
//	case errors.Is(err, client.ErrUnknownOutcome):
//		// It may have been applied: ask again with client.IdempotencyKey and the key in the *client.Error.
//	case err != nil:
//		return err
//	}
//	for _, entity := range resp.Bumped {
//		fmt.Println(entity.ID, entity.CurrentVersion)
//	}
//
// The methods of a [Client] are named after the routes that they ask. Package clienttest, below this one,
// has a tesd for the tests of programs that use it.
//
// # Endpoints
//
// A client knows its cluster by the base URLs of the nodes, its endpoints. Any node answers any request, so
// one is enough; with all of them the client outlives the loss of each. It does not learn of other nodes by
// itself. It begins with the endpoint that answered last and, when that one fails, passes to the next.
//
// A client works on one registry, the cluster's default one unless [WithRegistry] names another. To work on
// several, make several clients; [WithHTTPClient] lets them share connections, and is the place for TLS and
// credentials.
//
// # Time and attempts
//
// A call takes as long as its context and the client's timeout ([WithTimeout], 15 s by default) allow,
// whichever ends first. Within that time it is tried again and again, at one endpoint after the other, until
// a node answers it or refuses it for good.
//
// What is tried again is no connection or a broken one, 502, 503, 504, and 429. The client passes to the
// next endpoint at once; after each round over all of them, and after a 429, it waits: a random time
// below a limit that doubles with each round from 10 ms to 1 s, or as long as the Retry-After that the
// servers sent, if that is longer. It gives up early when that wait would not end in time. An attempt may
// take half of the time that is left (but at least 2.5 s and at most 30 s), so that a node that hangs does
// not use up the call. A write that all of them refused for now is not begun again in the last
// 2.5 s: it might end as one of unknown outcome.
//
// [Client.Health], [Client.Cluster] and [Client.Ready], which nodes answer for themselves, ask each
// endpoint once at most and do not wait; so does [Client.Backup], which takes as long as its context
// allows. [Client.AddNode], [Client.RemoveNode] and
// [Client.TransferLeadership] are not tried again once they may have been carried out.
//
// # Exactly once
//
// Every write to a registry has an idempotency key, a random one unless [IdempotencyKey] gives it, and all
// its attempts have the same. The cluster applies a key once and repeats its answer for at least 24 hours,
// so that attempts may be repeated even when one of them was applied and its answer lost; the answer then
// has Replayed set. A dry run is not a write.
//
// A random key protects the attempts of one call. For a write that must happen once however often a process
// is started, such as a job's, give it a key that is the job's own: then each process that sends the write
// gets the one answer. The same key with another request is refused with [CodeIdempotencyKeyReused].
//
// A write that fails says by [Error.Outcome] what became of it: [OutcomeRejected] and [OutcomeNotApplied]
// are certain. [OutcomeUnknown] means that an attempt may have reached the cluster and was not answered, and
// no later answer settled it. It is no reason to guess: send the write again under [Error.IdempotencyKey],
// from any process, and the answer tells.
//
// [IfMatch], and ExpectedVersion in a [BumpRequest], make a write depend on what was read before it. The key
// is looked up first: a repeat gets its first answer even though the registry has moved on meanwhile.
//
// # Consistency
//
// A read is linearizable unless an option says otherwise: it sees every write that was acknowledged, to
// anyone, before the read began, whichever node answers it. That takes a leader. Without one, or for less
// work, ask for less:
//
//   - [MinRevision] waits for a revision. With that of one's own write one reads what one has written, from
//     any node; a revision that one has read makes reads that never go back.
//   - [MaxStale] takes what a node has, if it is known to be no older than that.
//   - [Stale] takes what a node has, as old as that may be, even if it is cut off from the others.
//
// Each answer has the revision of the registry that it speaks of. Each page of [Client.Entities] and
// [Client.Events] is a read of its own.
//
// # Errors
//
// A call that a cluster does not answer with success returns an [*Error]. Decide by its class, for
// [errors.Is]: [ErrInvalid], [ErrNotAllowed], [ErrNotFound], [ErrConflict], [ErrUnavailable] or
// [ErrUnknownOutcome]; or by [Error.Code], for one certain reason. Texts are for people. Details and
// Validation name what is wrong with a request, by JSON path and by entity, and RequestID finds the request
// in the server's log.
//
// A call that ran out of time says how its last attempt failed and what ended it, for example
// "NO_LEADER: the cluster has no leader; gave up: context deadline exceeded", and [errors.Is] finds
// [context.DeadlineExceeded], [context.Canceled] and the errors of connections in it.
//
// # Verification
//
// The cluster signs each transaction and chains it to the one before. [Client.Receipt], or a
// [Client.History] with Receipts, brings what was signed, and a [Verifier] checks it without a server: with
// the signing key against forgery, without it against damage. [Verified.Head] stands for all that came
// before: kept elsewhere, it shows later that the history was not written anew.
//
// # Concurrency
//
// A [Client] and a [Verifier] are safe for concurrent use; one of each will do for a program. Calls do
// not wait for each other. A client starts no goroutines of its own and need not be closed.
package client
