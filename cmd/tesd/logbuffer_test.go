package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// gatedWriter writes only after it was opened.
type gatedWriter struct {
	open chan struct{}
	bytes.Buffer
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	<-w.open
	return w.Buffer.Write(p)
}

func TestLogDoesNotWaitForItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gatedWriter{open: make(chan struct{})}
		b := newLogBuffer(out, 64)
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.run(ctx, func(lost int) { fmt.Fprintf(b, "lost %d\n", lost) })
		}()
		fmt.Fprintln(b, "first")
		<-timer(t)
		synctest.Wait() // it is being written, and the writer stands still
		line := strings.Repeat("x", 31) + "\n"
		for range 5 { // two of them fit
			fmt.Fprint(b, line)
		}
		close(out.open)
		<-timer(t)
		synctest.Wait()
		fmt.Fprintln(b, "last")
		end()
		<-done
		if got, want := out.String(), "first\n"+line+line+"lost 3\nlast\n"; got != want {
			t.Errorf("written was %q, want %q", got, want)
		}
	})
}

func TestLogIsWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &gatedWriter{open: make(chan struct{})}
		close(out.open)
		b := newLogBuffer(out, 64)
		ctx, end := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.run(ctx, nil)
		}()
		fmt.Fprintln(b, "line")
		<-timer(t)
		synctest.Wait()
		if out.String() != "line\n" {
			t.Errorf("after %v was written %q", logFlushEvery, out.String())
		}
		end()
		<-done
	})
}
