//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
)

// watchLogLevel changes the level of the log when the process is told to: SIGUSR1 has it
// tell everything down to debug, SIGUSR2 takes it back to standard. What it returns ends it.
func watchLogLevel(log hclog.Logger, standard hclog.Level) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for s := range signals {
			level := standard
			if s == syscall.SIGUSR1 {
				level = min(hclog.Debug, standard)
			}
			log.SetLevel(level)
			log.Log(level, "log_level_changed", "level", level.String())
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
		<-ended
	}
}
