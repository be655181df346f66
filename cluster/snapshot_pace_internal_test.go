package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// slowSink takes a while for each write.
type slowSink struct {
	each  time.Duration
	bytes int
}

func (s *slowSink) Write(p []byte) (int, error) {
	<-time.After(s.each)
	s.bytes += len(p)
	return len(p), nil
}

// TestPacedWriter writes 64 pieces, each in four writes, and then as many in haste.
func TestPacedWriter(t *testing.T) {
	const pieces, writes = 64, 4
	for _, each := range []time.Duration{time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			leisure, hurry := context.WithCancel(t.Context())
			defer hurry()
			sink := &slowSink{each: each}
			w := newPacedWriter(leisure, sink)
			write := func() time.Duration {
				began := time.Now()
				for range pieces * writes {
					if n, err := w.Write(make([]byte, pacePiece/writes)); n != pacePiece/writes || err != nil {
						t.Fatalf("it wrote %d bytes: %v", n, err)
					}
				}
				return time.Since(began)
			}
			busy := pieces * writes * each
			if took, want := write(), busy+pieces*min(paceRests*writes*each, paceLimit); took != want {
				t.Errorf("writing for %v took %v, want %v", busy, took, want)
			}
			hurry()
			if took := write(); took != busy {
				t.Errorf("in haste, writing for %v took %v", busy, took)
			}
			if sink.bytes != 2*pieces*pacePiece {
				t.Errorf("%d bytes were written", sink.bytes)
			}
		})
	}
}
