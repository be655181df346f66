// Package timerslack lets the kernel wake the threads of a process a little later than they
// asked for. Go's monitor thread asks to sleep for 20 µs at a time while system calls take long,
// such as writes to a disk; with several processes to a core, waking it is a large part of all
// processor time.
package timerslack
