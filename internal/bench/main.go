package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes, as scripts/bench documents them.
const (
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks what was asked for wrongly, as opposed to what went wrong.
var errUsage = errors.New("wrong usage")

// A benchmark is one subcommand.
type benchmark struct {
	name, about string
	run         func(ctx context.Context, args []string, out io.Writer) error
}

// benchmarks returns all of them, in the order of the help text.
func benchmarks() []benchmark {
	return []benchmark{
		{"load", "bumps and reads by many clients at once", runLoad},
		{"growth", "a history that grows: memory, snapshots, restart", runGrowth},
		{"watch", "push to many watchers while one writer writes", runWatch},
		{"distance", "nodes on machines of their own, at a distance from each other", runDistance},
		{"chart", "a picture of what load has saved", runChart},
	}
}

func main() {
	raiseFileLimit()
	// Whatever ends this program early, a reader of its output that is gone too, must not leave
	// servers behind.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: say what to measure%s", errUsage, names())
	}
	switch args[0] { // what this program starts of itself
	case writerCommand:
		return runWriter(ctx, args[1:], os.Stdin, os.Stdout)
	case raftCommand:
		return serveRaft(args[1:])
	case constantCommand:
		return serveConstant(args[1:])
	}
	for _, b := range benchmarks() {
		if b.name == args[0] {
			return b.run(ctx, args[1:], os.Stdout)
		}
	}
	return fmt.Errorf("%w: there is no benchmark %q%s", errUsage, args[0], names())
}

// names lists the benchmarks, a line each.
func names() string {
	var text string
	for _, b := range benchmarks() {
		text += fmt.Sprintf("\n  %-8s %s", b.name, b.about)
	}
	return text
}

// raiseFileLimit raises the limit of open files as far as the system lets it: each watcher
// is one on both sides. Go leaves the raised limit to the processes it starts only if it was
// set by hand, as here.
func raiseFileLimit() {
	const wanted = 1 << 20
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	if limit.Max < wanted {
		all := syscall.Rlimit{Cur: wanted, Max: wanted}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &all) == nil {
			return
		}
	}
	limit.Cur = limit.Max
	_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// fileLimit returns how many files a process may have open.
func fileLimit() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
