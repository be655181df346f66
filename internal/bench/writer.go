package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// writerCommand is the subcommand by which the harness starts its writer. The writer is a
// process of its own: among the watchers its answers would wait until they had their turn,
// and a commit that is noted late makes every delivery look early.
const writerCommand = "writer"

// A writing is one order to write.
type writing struct {
	System   string
	URL      string
	Rate     int // a second
	Workers  int // how many may be under way at once
	Duration time.Duration
}

// A write is one that was acknowledged. Times are of a clock.
type write struct {
	Due, Sent, Acked int64
	Revision         int64
}

// Written is what the writer did.
type written struct {
	Start  int64
	Writes []write
	Errors int64
	Error  string // one of them
	CPU    time.Duration
}

// runWriter is the writer: it prepares, says so, waits to be told to begin, writes on
// schedule and prints what it did.
func runWriter(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	var o writing
	f := flag.NewFlagSet(writerCommand, flag.ContinueOnError)
	f.StringVar(&o.System, "system", "", "")
	f.StringVar(&o.URL, "url", "", "")
	f.IntVar(&o.Rate, "rate", 0, "")
	f.IntVar(&o.Workers, "workers", 1, "")
	f.DurationVar(&o.Duration, "duration", 0, "")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	send := tesdBumper(o.URL, o.Workers)
	if o.System == "etcd" {
		var err error
		if send, err = etcdPutter(o.URL); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "ready")
	if _, err := bufio.NewReader(in).ReadString('\n'); err != nil {
		return fmt.Errorf("waiting to begin: %w", err)
	}
	done := writeAll(ctx, o, send)
	if u, err := usageOf(os.Getpid()); err == nil {
		done.CPU = u.cpu
	}
	if err := json.NewEncoder(out).Encode(done); err != nil {
		return fmt.Errorf("printing what was written: %w", err)
	}
	return nil
}

// writeAll writes by the clock, not by the answers: each write has its time, and one that is
// late is made up for. Only as many as there are workers are under way at once.
func writeAll(ctx context.Context, o writing, send func(context.Context) (int64, error)) *written {
	clock := newClock()
	w := &written{Start: clock.now()}
	due := schedule{w.Start, o.Rate}
	end := w.Start + int64(o.Duration)
	var mu sync.Mutex
	var next atomic.Int64
	var wg sync.WaitGroup
	for range o.Workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				at := due.at(next.Add(1) - 1)
				time.Sleep(time.Duration(at - clock.now()))
				sent := clock.now()
				if max(at, sent) >= end {
					return
				}
				one, cancel := context.WithTimeout(ctx, 10*time.Second)
				revision, err := send(one)
				cancel()
				acked := clock.now()
				mu.Lock()
				if err != nil {
					w.Errors++
					w.Error = err.Error()
				} else {
					w.Writes = append(w.Writes, write{at, sent, acked, revision})
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return w
}

// A writerProcess is a writer that has prepared itself.
type writerProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startWriter starts the writer and waits until it is ready.
func startWriter(ctx context.Context, o writing) (*writerProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, writerCommand, "--system", o.System, "--url", o.URL,
		"--rate", fmt.Sprint(o.Rate), "--workers", fmt.Sprint(o.Workers), "--duration", o.Duration.String())
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the writer: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting the writer: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the writer: %w", err)
	}
	w := &writerProcess{cmd, in, bufio.NewReader(out)}
	if line, err := w.out.ReadString('\n'); err != nil || line != "ready\n" {
		w.stop()
		return nil, fmt.Errorf("the writer is not ready: %q %w", line, err)
	}
	return w, nil
}

// begin has it write.
func (w *writerProcess) begin() error {
	if _, err := io.WriteString(w.in, "go\n"); err != nil {
		return fmt.Errorf("telling the writer to begin: %w", err)
	}
	return nil
}

// result waits until it has written, and returns what.
func (w *writerProcess) result() (*written, error) {
	var done written
	if err := json.NewDecoder(w.out).Decode(&done); err != nil {
		w.stop()
		return nil, fmt.Errorf("reading what was written: %w", err)
	}
	if err := w.cmd.Wait(); err != nil {
		return nil, fmt.Errorf("the writer failed: %w", err)
	}
	return &done, nil
}

func (w *writerProcess) stop() {
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
}
