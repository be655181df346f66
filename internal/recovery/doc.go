// Package recovery measures how long a cluster is without what its users need after something
// went wrong: after the leader was killed, all nodes were, the network was cut and is whole again, or
// leadership was handed over.
//
// A [Writer] writes by the clock, whether what it wrote before was answered or not, each write with a
// time-out of its own and never twice. So what it finds is the cluster's doing, and not that of a
// client that waits, backs off or tries again. The package's tests run the measurements, those of
// processes in real time, those of partitions in virtual time; scripts/chaos recovery runs
// more rounds of them.
package recovery
