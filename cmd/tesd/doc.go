// Command tesd keeps the versions of a project's parts in a replicated registry, and is
// the tool to raise and read them.
//
//	tesd dev                              three nodes in one process, to try it
//	tesd serve --node-id n1 …             one node of a cluster
//	tesd bump minor component:ui          raise a version, and all that moves with it
//	tesd bump minor component:ui --dry-run
//	tesd verify --history                 check what the cluster has signed
//
// # What it promises
//
//   - Data goes to standard output, and everything else to standard error. With -o json
//     the data is what the server answered.
//   - The exit code tells what became of a command: 0 done, 1 failed, 2 wrong usage, 3 not
//     found, 4 conflict, 5 unavailable, 6 not allowed, 7 outcome unknown, 8 verification
//     failed, 9 disk failed, 10 the state of a node is wrong. Only 7 leaves it open whether something was changed, and the message then
//     has the idempotency key under which to repeat the command.
//   - A flag comes before the environment, for serve that before the configuration file,
//     and all of them before the default. What is empty counts as not given.
//   - The signing key is never taken as the value of a flag.
//
// # Shape
//
// run is the whole command line, in process: it takes arguments, environment and streams
// and returns the exit code. Each command is built by one function and knows nothing of
// the others. Errors become messages and exit codes in one place, exit.go.
package main
