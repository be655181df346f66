package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a server that was started, and is ended by its id.
type process struct {
	name   string
	log    string // the path of what it prints
	cmd    *exec.Cmd
	exited chan struct{}
}

// startProcess starts a command that prints into a file of dir.
func startProcess(name, dir, binary string, args ...string) (*process, error) {
	return startProcessWith(syscall.SysProcAttr{}, name, dir, binary, args...)
}

// startProcessWith starts a command as attributes say, beside what all have.
func startProcessWith(attributes syscall.SysProcAttr, name, dir, binary string, args ...string) (*process, error) {
	path := filepath.Join(dir, name+".log")
	log, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("making the log of %s: %w", name, err)
	}
	defer log.Close()
	p := &process{name: name, log: path, cmd: exec.Command(binary, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A Ctrl-C is for the harness, which ends its servers in order.
	attributes.Setpgid = true
	p.cmd.SysProcAttr = &attributes
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// stop ends the process at once: its data is thrown away anyway.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// alive returns an error with the end of the log if the process has exited.
func (p *process) alive() error {
	select {
	case <-p.exited:
		text, _ := os.ReadFile(p.log)
		const most = 2 << 10
		return fmt.Errorf("%s exited; it printed, at the end:\n%s", p.name, bytes.TrimSpace(text[max(0, len(text)-most):]))
	default:
		return nil
	}
}

// usage returns what the process has used since it started.
func (p *process) usage() (usage, error) { return usageOf(p.cmd.Process.Pid) }

// Usage is what a process has used: processor time, and memory at this moment.
type usage struct {
	cpu          time.Duration // as its clock counts
	user, system time.Duration // as ticks find it: too little of what runs for less than a tick
	rss          int64         // bytes
}

// usageOf reads the usage of a process by its id.
func usageOf(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("reading what a process used: %w", err)
	}
	u, err := parseStat(stat)
	if err != nil {
		return usage{}, err
	}
	// The clock of a process, all of its threads (clock_getcpuclockid(3)).
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|unix.CLOCK_PROCESS_CPUTIME_ID), &used); err != nil {
		return usage{}, fmt.Errorf("reading the clock of a process: %w", err)
	}
	u.cpu = time.Duration(used.Nano())
	return u, nil
}

// parseStat takes the usage but for the clock from the text of /proc/PID/stat.
func parseStat(stat []byte) (usage, error) {
	// The name, in parentheses, may hold anything, spaces and parentheses too.
	_, rest, ok := cutLast(stat, ')')
	fields := bytes.Fields(rest)
	const utime, stime, pages = 11, 12, 21 // counted from the state, which follows the name
	if !ok || len(fields) <= pages {
		return usage{}, errors.New("the usage of a process cannot be read")
	}
	var values [3]int64
	for i, at := range []int{utime, stime, pages} {
		n, err := strconv.ParseInt(string(fields[at]), 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("reading what a process used: %w", err)
		}
		values[i] = n
	}
	const tick = time.Second / 100 // what Linux shows to users, on every architecture that Go knows
	return usage{user: time.Duration(values[0]) * tick, system: time.Duration(values[1]) * tick, rss: values[2] * int64(os.Getpagesize())}, nil
}

// cutLast splits text around the last sep.
func cutLast(text []byte, sep byte) (before, after []byte, found bool) {
	i := bytes.LastIndexByte(text, sep)
	if i < 0 {
		return text, nil, false
	}
	return text[:i], text[i+1:], true
}

// again starts the same command once more, after the process has exited.
func (p *process) again(dir string) (*process, error) {
	return startProcess(p.name, dir, p.cmd.Path, p.cmd.Args[1:]...)
}
