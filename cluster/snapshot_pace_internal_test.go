package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// slowSink is a snapshot that takes a while for each write.
type slowSink struct {
	raft.SnapshotSink
	each  time.Duration
	bytes int
}

func (s *slowSink) Write(p []byte) (int, error) {
	<-time.After(s.each)
	s.bytes += len(p)
	return len(p), nil
}

func (s *slowSink) Close() error { return nil }

// TestPacedWriter writes 64 pieces, each in four writes, and then as many in haste.
func TestPacedWriter(t *testing.T) {
	const pieces, writes = 64, 4
	for _, each := range []time.Duration{time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			leisure, hurry := context.WithCancel(t.Context())
			defer hurry()
			sink := &slowSink{each: each}
			w := newPacedWriter(sink, leisure)
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

// TestSnapshotsTakeTheirTime has an adapter write its state, and write it again when the node stops.
func TestSnapshotsTakeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdapter(t.Context(), func(err error) { t.Error(err) })
		large := fsm.Migrate{Source: "test"}
		for i := range 5000 {
			large.Entities = append(large.Entities, fsm.Entity{
				ID: fmt.Sprint("api:", i), Type: fsm.TypeAPIScope, CurrentVersion: "1.0.0", UpdateStrategy: fsm.Independent, DisplayName: strings.Repeat("x", 200),
			})
		}
		for i, op := range []fsm.Op{fsm.Genesis{ClusterID: newClusterID(), RegistryID: "main", KeyID: "key"}, large} {
			entry, err := fsm.JoinEntry(1, [][]byte{fsm.EncodeCommand(nil, fsm.Command{Registry: "main", Actor: "test", Op: op})})
			if err != nil {
				t.Fatal(err)
			}
			if results := a.Apply(&raft.Log{Index: uint64(i + 1), Type: raft.LogCommand, Data: entry}).([]fsm.Result); results[0].Refusal != nil {
				t.Fatal(results[0].Refusal)
			}
		}
		persist := func() (bytes int, took time.Duration) {
			s, err := a.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			sink, began := &slowSink{each: time.Millisecond}, time.Now()
			if err := s.Persist(sink); err != nil {
				t.Fatal(err)
			}
			return sink.bytes, time.Since(began)
		}
		bytes, atLeisure := persist()
		if bytes < 2*pacePiece {
			t.Fatalf("the state has no more than %d bytes", bytes)
		}
		a.hurry()
		if _, inHaste := persist(); atLeisure < 2*inHaste {
			t.Errorf("%d bytes took %v, and %v in haste", bytes, atLeisure, inHaste)
		}
	})
}
