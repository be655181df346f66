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
// # Attempts
//
// Any node answers any request, so a call is tried at one endpoint after the other, beginning with the
// one that answered last, until
//
//   - a node answers it, or refuses it for good: that is final at once;
//   - the context ends, or the client's timeout ([WithTimeout]), whichever is first.
//
// What is tried again is no connection or a broken one, 502, 503, 504, and 429. The client passes to the
// next endpoint at once; after each round over all of them, and after a 429, it waits: a random time
// below a limit that doubles with each round from 10 ms to 1 s, or as long as the Retry-After that the
// servers sent, if that is longer. It gives up early when that wait would not end in time. An attempt may
// take half of the time that is left (but at least 1 s and at most 30 s), so that a node that hangs does
// not use up the call.
//
// [Client.Health], [Client.Cluster] and [Client.Ready], which nodes answer for themselves, ask each
// endpoint once at most and do not wait.
//
// # Exactly once
//
// Every write has an idempotency key, a random one unless [IdempotencyKey] gives it, and all its attempts
// have the same. The cluster applies a key once and repeats its answer, so that attempts may be repeated
// even when one of them was applied and its answer lost. A dry run is not a write.
//
// A call that fails returns an [*Error], whose Outcome says what became of the request. It is
// [OutcomeUnknown] if any attempt may have reached the cluster and was not answered, unless a later answer
// settled it; an attempt that found no connection was not applied. Sending the write again under the same
// key, at any time within 24 hours, is safe and tells.
package client
