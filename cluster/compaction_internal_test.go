package cluster

import (
	"errors"
	"testing"

	"github.com/hashicorp/raft"
)

// removals is a log that notes what is removed from it, and after each removal has something else happen.
type removals struct {
	raft.LogStore
	spans []span
	then  func() error
}

func (r *removals) DeleteRange(from, to uint64) error {
	r.spans = append(r.spans, span{from, to})
	return errors.Join(r.LogStore.DeleteRange(from, to), r.then())
}

// TestCompactionInSteps: what goes at the beginning of the log goes in steps, the oldest first, and entries are written
// between them. If there are no more steps after one, the log has no hole. What goes at the end goes at once: of more
// steps the last would have to be first.
func TestCompactionInSteps(t *testing.T) {
	const many = 10_000
	broken := errors.New("broken")
	for _, c := range []struct {
		name     string
		from, to uint64
		steps    int
		breaks   int // the step that fails; 0 for none
		left     span
	}{
		{"few", 1, compactionLeast, 1, 0, span{compactionLeast + 1, many + 1}},
		{"some", 1, 2*compactionLeast + 1, 3, 0, span{2*compactionLeast + 2, many + 3}},
		{"many", 1, many - 1, compactionSteps, 0, span{many, many + compactionSteps}},
		{"the third step fails", 1, compactionSteps * 1000, 3, 3, span{3001, many + 2}},
		{"the end", 5000, many, 1, 0, span{1, 4999}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := raft.NewInmemStore()
			log := &removals{LogStore: store}
			storage := &Storage{Log: log, Stable: store, Snapshots: &listed{indexes: []uint64{many}}, Retained: 1}
			disk, err := openFailStop(storage)
			if err != nil {
				t.Fatal(err)
			}
			next := uint64(0)
			write := func() error {
				next++
				return disk.StoreLogs([]*raft.Log{{Index: next, Term: 1}})
			}
			for range many {
				if err := write(); err != nil {
					t.Fatal(err)
				}
			}
			log.then = func() error {
				switch {
				case len(log.spans) == c.breaks:
					return broken
				case c.to == many:
					return nil
				}
				return write()
			}
			if err := disk.DeleteRange(c.from, c.to); errors.Is(err, broken) != (c.breaks > 0) || !errors.Is(err, broken) && err != nil {
				t.Errorf("it ends with %v", err)
			}
			if len(log.spans) != c.steps {
				t.Fatalf("it takes %d steps, %v, want %d", len(log.spans), log.spans, c.steps)
			}
			for i := range log.spans[1:] {
				if log.spans[i+1].first != log.spans[i].last+1 {
					t.Errorf("%v is followed by %v", log.spans[i], log.spans[i+1])
				}
			}
			again, err := openFailStop(storage)
			if err != nil || again.span != c.left {
				t.Errorf("%v is left, want %v: %v", again.span, c.left, err)
			}
			if _, err := again.check(); err != nil {
				t.Error(err)
			}
		})
	}
}
