package cluster

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// TestSnapshotFiles writes a snapshot and reads it back as one that is sent: what is in it, and how
// long that is, must not tell of the head that its file has.
func TestSnapshotFiles(t *testing.T) {
	dir := t.TempDir()
	s, err := openSnapshots(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	_, trans := raft.NewInmemTransport("")
	members := configuration([]founder{{"n1", "n1:9000", "a"}, {"n2", "n2:9000", "b"}})
	write := func(index uint64) raft.SnapshotSink {
		sink, err := s.Create(1, index, 2, members, 1, trans)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write([]byte("the state")); err != nil {
			t.Fatal(err)
		}
		return sink
	}
	for _, index := range []uint64{10, 20, 30} {
		if err := write(index).Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(40).Cancel(); err != nil {
		t.Fatal(err)
	}
	all, err := s.List()
	if err != nil || len(all) != 2 || all[0].Index != 30 || all[1].Index != 20 {
		t.Fatalf("the snapshots are %v, %v", all, err)
	}
	meta, r, err := s.Open(all[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if r.Close(); err != nil || string(body) != "the state" || meta.Size != int64(len(body)) || meta.Index != 30 {
		t.Errorf("the snapshot has %q, %v, and says that it has %d bytes up to index %d", body, err, meta.Size, meta.Index)
	}
	if faulty, err := s.Faulty(); err != nil || len(faulty) > 0 {
		t.Errorf("%v, %v", faulty, err)
	}
	left, err := os.ReadDir(filepath.Join(dir, snapshotDir))
	if err != nil || len(left) != 2 {
		t.Errorf("the directory has %v, %v", left, err)
	}
}
