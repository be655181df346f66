// Package intake reads what comes in from outside, the bodies of requests and registry
// files, into the state machine's own types. It reads strictly: names that are unknown,
// stand twice or differ in case, null, trailing data, invalid UTF-8 and values of a wrong
// type are faults, never guesses. It tells all faults of a text at once, each with its
// path, and keeps the memory that a text can make it use in proportion to its length.
package intake
