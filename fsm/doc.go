// Package fsm is the registry itself: a pure, deterministic state machine that
// turns a replicated log of commands into versions, transactions and receipts.
//
// # What it promises
//
//   - Determinism. The state after a log depends on the bytes of that log and on
//     nothing else. There is no clock, randomness, I/O or goroutine in this package
//     and no map iteration that reaches a result; time enters as the stamp that
//     the leader wrote into the entry. Any split of a log into entries with the same
//     stamps, and any snapshot and restore in between, gives the same [View.StateHash].
//   - Atomicity. A command is planned against the state without touching it, and
//     committed as a whole or refused as a whole. A refusal changes nothing but the
//     idempotency table.
//   - History. Each committed transaction gets the registry's next revision, and
//     its canonical payload carries the hash of the one before: a registry's history
//     is a chain that can be verified offline, and it is kept whole unless the cluster
//     was founded with a limit.
//   - Exactly once. A command with an idempotency key that has been seen before
//     answers as it did the first time, for at least [KeyTTL] on the age clock.
//
// # Shape
//
// [Machine] is the writer's side: one goroutine applies entries. [View] is the
// readers' side: an immutable state, taken in O(1), that any number of goroutines
// may read while the machine moves on. Both share structure: the maps are B-trees
// with copy-on-write, the history and the idempotency table are append-only.
//
// An [Entry] is what one log record holds: a stamp and many commands. A [Command]
// names its registry, its caller, its preconditions and one operation.
//
// # Two clocks
//
// The stamp of an entry is the leader's wall clock, clamped here so that it never
// goes back; it is what people see as a transaction's timestamp. Expiry does not
// use it: the age clock advances, per entry, by the difference of stamps but by no
// more than ten minutes, so that a clock that jumps a year ahead expires nothing.
//
// # What is decided before the log
//
// Whatever may change between releases of the toolchain (which patterns compile,
// for one) is decided by [Validate] at the ingress, before a command is proposed.
// The machine re-checks only rules that this package's own code defines.
package fsm
