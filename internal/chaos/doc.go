// Package chaos proves what tesd promises to those who watch, and to those who bump and read,
// whatever happens to the cluster meanwhile.
//
// A [World] is a cluster as its users see it: some endpoints, and ways to reach them. Writers
// change a registry through it, and watchers watch it: by the library, by bare WebSockets and
// by server-sent events, some filtered, some slow, all of them hopping from node to node.
// What each of them is told is recorded, and package watchcheck holds it against the history:
// every transaction reaches every watcher, on any node, once and in order.
//
// [Run] does that in virtual time, with whole nodes over an in-memory network in a
// testing/synctest bubble; the history is what a state machine of the test's own makes of the
// entries that the nodes wrote to their logs. The package's tests do the same with real
// processes.
//
// [RunBumps] has the same clusters suffer more, in storms of up to three faults at once, and
// users who bump, put, delete and read through all nodes, most of them without HTTP, which
// costs more than all the rest. Package bumpcheck holds what they were told against the
// history; the logs and the states of all nodes must be the same. [World.Visit] has users do the
// same over HTTP, to clusters of real processes, whose faults the package's tests inject.
//
// A run counts what it did, and of its faults only those that had an effect, so that a test can
// ask for a least of everything, and it can be given a fault to find ([Seams], [World].Mutate):
// a harness that cannot fail proves nothing.
package chaos
