package main

import (
	"context"
	"io"
	"sync"
	"time"
)

const (
	logFlushEvery = 100 * time.Millisecond
	logBufferSize = 4 << 20 // bytes of lines that wait to be written
)

// logBuffer takes log lines at memory speed and writes them out from a goroutine of its
// own, so that a terminal or a pipe that is slow slows no request. A line that finds the
// buffer full is dropped and counted. It is safe for concurrent use.
type logBuffer struct {
	out  io.Writer
	size int

	mu      sync.Mutex
	waiting []byte
	spare   []byte // the other of the two buffers that take turns
	lost    int    // lines dropped since that was last told
}

func newLogBuffer(out io.Writer, size int) *logBuffer { return &logBuffer{out: out, size: size} }

// Write takes one line. It never fails and never blocks for long.
func (b *logBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting)+len(line) > b.size {
		b.lost++
	} else {
		b.waiting = append(b.waiting, line...)
	}
	return len(line), nil
}

// run writes lines out until ctx ends, and then what is left. When lines were dropped it
// calls told with their number, which should log it.
func (b *logBuffer) run(ctx context.Context, told func(lost int)) {
	tick := time.NewTicker(logFlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.flush(told)
		case <-ctx.Done():
			b.flush(told)
			b.flush(func(int) {}) // that lines were dropped
			return
		}
	}
}

// flush writes out what is waiting. Only run calls it.
func (b *logBuffer) flush(told func(lost int)) {
	b.mu.Lock()
	lines, lost := b.waiting, b.lost
	b.waiting, b.spare, b.lost = b.spare[:0], nil, 0
	b.mu.Unlock()
	if len(lines) > 0 {
		b.out.Write(lines) // there is nowhere to tell that it failed
	}
	b.mu.Lock()
	b.spare = lines
	b.mu.Unlock()
	if lost > 0 {
		told(lost)
	}
}
