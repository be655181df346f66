package cluster

import (
	"slices"
	"testing"

	"github.com/hashicorp/raft"
)

// removals notes what is removed from a log.
type removals struct {
	raft.LogStore
	spans []span
}

func (r *removals) DeleteRange(from, to uint64) error {
	r.spans = append(r.spans, span{from, to})
	return r.LogStore.DeleteRange(from, to)
}

// TestCompactionInSteps: what is removed at the beginning of the log is removed in steps, beginning with the oldest, so
// that others may write between them and the log has no hole if power is lost there. At the end it goes at once, since
// the last step would have to come first.
func TestCompactionInSteps(t *testing.T) {
	store := raft.NewInmemStore()
	log := &removals{LogStore: store}
	const last = 3*compactionStep + 50
	disk, err := openFailStop(&Storage{Log: log, Stable: store, Snapshots: &listed{indexes: []uint64{last}}, Retained: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(last) {
		if err := disk.StoreLogs([]*raft.Log{{Index: i + 1, Term: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		from, to uint64
		want     []span
	}{
		{1, 2*compactionStep + 10, []span{{1, compactionStep}, {compactionStep + 1, 2 * compactionStep}, {2*compactionStep + 1, 2*compactionStep + 10}}},
		{1, 2*compactionStep + 10, nil},
		{2*compactionStep + 20, last, []span{{2*compactionStep + 20, last}}},
	} {
		log.spans = nil
		if err := disk.DeleteRange(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(log.spans, step.want) {
			t.Errorf("%d to %d went in %v, want %v", step.from, step.to, log.spans, step.want)
		}
	}
	if want := (span{2*compactionStep + 11, 2*compactionStep + 19}); disk.span != want {
		t.Errorf("the log has %v, want %v", disk.span, want)
	}
}
