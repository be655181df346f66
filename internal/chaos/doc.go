// Package chaos proves the promise of watching: every transaction reaches every watcher, on
// any node, once and in order, whatever happens to the cluster meanwhile.
//
// A [World] is a cluster as its users see it: some endpoints, and ways to reach them. Writers
// change a registry through it, and watchers watch it: by the library, by bare WebSockets and
// by server-sent events, some filtered, some slow, all of them hopping from node to node.
// What each of them is told is recorded, and package watchcheck holds it against the history.
//
// [Run] does that in virtual time, with whole nodes over an in-memory network in a
// testing/synctest bubble; the history is what a state machine of the test's own makes of the
// entries that the nodes wrote to their logs. The package's tests do the same with real
// processes. A run counts what it did, so that a test can ask for a least of everything, and
// it can be given a fault to find ([Seams], [World].Mutate): a harness that cannot fail proves
// nothing.
package chaos
