package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Tracer is an strace that tampers with a system call of a process. Its methods are not to be
// called concurrently.
type Tracer struct {
	cmd *exec.Cmd
	log string // of what it tampered with
}

// CanTrace reports whether strace is there and may tamper with the system calls of other processes.
func CanTrace() bool {
	sleep := exec.Command("sleep", "5")
	if sleep.Start() != nil {
		return false
	}
	defer sleep.Wait()
	defer sleep.Process.Kill()
	log, err := os.CreateTemp("", "strace")
	if err != nil {
		return false
	}
	defer os.Remove(log.Name())
	defer log.Close()
	t, err := Trace(sleep.Process.Pid, log.Name(), "fdatasync", "delay_enter=1")
	if err != nil {
		return false
	}
	return t.End() == nil
}

// Trace begins to tamper with a system call of a process: how is what strace(1) says of inject, such
// as error=EIO or delay_enter=50ms. It returns when that has begun. log is a file for what it tampers with.
func Trace(pid int, log, call, how string) (*Tracer, error) {
	cmd := exec.Command("strace", "-f", "-p", strconv.Itoa(pid), "-o", log, "-e", "trace="+call, "-e", "inject="+call+":"+how)
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &Tracer{cmd, log}
	first := make([]byte, 512) // it says that it is attached, or why not
	n, err := said.Read(first)
	if err != nil || !bytes.Contains(first[:n], []byte("attached")) {
		return nil, errors.Join(fmt.Errorf("strace said %q", first[:n]), err, t.End())
	}
	return t, nil
}

// End ends the tampering. What was made to wait goes on. An strace that itself waits for that is killed.
func (t *Tracer) End() error {
	_ = t.cmd.Process.Signal(os.Interrupt) // an error is that it has ended, with its process
	killer := time.AfterFunc(2*time.Second, func() { _ = t.cmd.Process.Kill() })
	defer killer.Stop()
	err := t.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return nil // a signal has ended it, as it should
	}
	return err
}

// Tampered counts the calls that were tampered with.
func (t *Tracer) Tampered() int {
	log, err := os.ReadFile(t.log)
	if err != nil {
		return 0
	}
	return bytes.Count(log, []byte("(INJECTED)")) + bytes.Count(log, []byte("(DELAYED)"))
}
