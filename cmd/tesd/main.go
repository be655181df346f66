package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tesd/tesd/internal/timerslack"
)

// timerSlack is how much later than it asked for a thread of a node may be woken. With the
// kernel's own 50 µs, waking threads took a quarter of all processor time where three nodes
// share two cores.
const timerSlack = 200 * time.Microsecond

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		timerslack.Choose(timerSlack)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel() // stop in good order
		<-signals
		os.Exit(exitFailed) // stop now
	}()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
