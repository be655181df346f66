package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync/atomic"
)

// DiskFailed is the exit code of a node whose disk failed or whose data is damaged.
const DiskFailed = 9

// Process is one run of the command. Its methods may be called concurrently.
type Process struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // how it ended; set before exited is closed
	killed atomic.Bool
	spoilt atomic.Bool // somebody tampers with its disk
}

// StartProcess starts the command with arguments, and with both outputs going to a file. Whoever
// starts a process waits for its end.
func StartProcess(binary string, log *os.File, args ...string) (*Process, error) {
	return startProcess(nil, binary, log, args...)
}

// startProcess is StartProcess with variables added to the environment.
func startProcess(environment []string, binary string, log *os.File, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a process: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// PID returns the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the process a signal. It returns an error if it has ended.
func (p *Process) Signal(s os.Signal) error {
	before := p.killed.Load()
	if s == os.Kill {
		p.killed.Store(true) // before anyone can see that it has ended
	}
	err := p.cmd.Process.Signal(s)
	if err != nil {
		p.killed.Store(before)
	}
	return err
}

// MayFail says that somebody tampers with the disk of the process: it may end by itself for that.
func (p *Process) MayFail() { p.spoilt.Store(true) }

// Unexpected waits for the end of the process and returns an error if it ended by anything else than SIGKILL
// from [Process.Signal], or its disk if that is tampered with. One that panicked a moment before it was
// killed has an exit code, whatever it was sent then.
func (p *Process) Unexpected() error {
	switch code := p.Code(); {
	case code == -1 && p.killed.Load(), code == DiskFailed && p.spoilt.Load():
		return nil
	case code == -1:
		return fmt.Errorf("it was not killed by the test, and ended by: %w", p.err)
	default:
		return fmt.Errorf("it ended by itself with exit code %d", code)
	}
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Err waits for the end of the process and returns how it ended: nil for exit code 0.
func (p *Process) Err() error {
	<-p.exited
	return p.err
}

// Code waits for the end of the process and returns its exit code; -1 if a signal ended it.
func (p *Process) Code() int {
	exit, ok := errors.AsType[*exec.ExitError](p.Err())
	switch {
	case p.err == nil:
		return 0
	case ok:
		return exit.ExitCode()
	}
	return -1
}
