// Command bench measures tesd, where it can next to a peer on the same machine and in the
// same run. It starts clusters of real processes on loopback, or in network namespaces at a
// distance from each other, with data in temporary directories, and ends them. scripts/bench builds and runs it.
//
// It is a module of its own, so that what only the peer's client needs is no dependency of
// tesd.
package main
