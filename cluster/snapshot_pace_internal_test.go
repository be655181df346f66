package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// slowSink takes a millisecond for each write.
type slowSink int

func (s *slowSink) Write(p []byte) (int, error) {
	<-time.After(time.Millisecond)
	*s += slowSink(len(p))
	return len(p), nil
}

// TestPacedWriter writes 64 pieces, each in four writes, and then as many in haste.
func TestPacedWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pieces, writes = 64, 4
		leisure, hurry := context.WithCancel(t.Context())
		defer hurry()
		var sink slowSink
		w := newPacedWriter(&sink, leisure)
		write := func() time.Duration {
			began := time.Now()
			for range pieces * writes {
				if n, err := w.Write(make([]byte, pacePiece/writes)); n != pacePiece/writes || err != nil {
					t.Fatalf("it wrote %d bytes: %v", n, err)
				}
			}
			return time.Since(began)
		}
		const busy = pieces * writes * time.Millisecond
		if took := write(); took != (1+paceRests)*busy {
			t.Errorf("writing for %v took %v", busy, took)
		}
		hurry()
		if took := write(); took != busy {
			t.Errorf("in haste, writing for %v took %v", busy, took)
		}
		if sink != 2*pieces*pacePiece {
			t.Errorf("%d bytes were written", sink)
		}
	})
}
