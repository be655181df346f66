package cluster

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"
)

// listed are snapshots of which only the indexes matter, the newest first.
type listed struct {
	raft.SnapshotStore
	indexes []uint64
}

func (l *listed) List() (all []*raft.SnapshotMeta, err error) {
	for _, index := range l.indexes {
		all = append(all, &raft.SnapshotMeta{Index: index})
	}
	return all, nil
}

// TestSpanOfTheLog has a log grow, lose its end and its beginning, and go on behind a snapshot.
func TestSpanOfTheLog(t *testing.T) {
	snapshots := &listed{}
	store := raft.NewInmemStore()
	disk, err := openFailStop(&Storage{Log: store, Stable: store, Snapshots: snapshots, Retained: 2})
	if err != nil {
		t.Fatal(err)
	}
	entries := func(from, to, term uint64) (all []*raft.Log) {
		for i := from; i <= to; i++ {
			all = append(all, &raft.Log{Index: i, Term: term, Data: []byte(fmt.Sprint(i))})
		}
		return all
	}
	taken := func(indexes ...uint64) func() error {
		return func() error { snapshots.indexes = indexes; return nil }
	}
	for _, step := range []struct {
		what string
		do   func() error
		want span
	}{
		{"the first entries", func() error { return disk.StoreLogs(entries(1, 10, 1)) }, span{1, 10}},
		{"more", func() error { return disk.StoreLogs(entries(11, 20, 1)) }, span{1, 20}},
		{"the end conflicts", func() error { return disk.DeleteRange(15, 20) }, span{1, 14}},
		{"the leader's entries", func() error { return disk.StoreLogs(entries(15, 20, 2)) }, span{1, 20}},
		{"a snapshot", taken(12), span{1, 20}},
		{"nothing goes: there is no older one", func() error { return disk.DeleteRange(1, 12) }, span{1, 20}},
		{"a second snapshot", taken(18, 12), span{1, 20}},
		{"what the older one needs stays", func() error { return disk.DeleteRange(1, 18) }, span{13, 20}},
		{"it has been removed already", func() error { return disk.DeleteRange(1, 12) }, span{13, 20}},
		{"the end conflicts, down to behind the older one", func() error { return disk.DeleteRange(13, 20) }, span{}},
		{"again", func() error { return disk.StoreLogs(entries(13, 14, 3)) }, span{13, 14}},
		{"behind a snapshot that was sent", func() error { return disk.StoreLogs(entries(101, 110, 3)) }, span{101, 110}},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		first, _ := disk.FirstIndex()
		last, _ := disk.LastIndex()
		if got := (span{first, last}); got != step.want {
			t.Errorf("%s: the log has %v, want %v", step.what, got, step.want)
		}
		again, err := openFailStop(&Storage{Log: store, Stable: store, Snapshots: snapshots, Retained: 2})
		if err != nil || again.span != step.want {
			t.Errorf("%s: on disk the log has %v, want %v", step.what, again.span, step.want)
		}
		if _, err := again.check(); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		for _, index := range []uint64{0, step.want.first - 1, step.want.last + 1} {
			if err := disk.GetLog(index, &raft.Log{}); err != raft.ErrLogNotFound && index < 1<<60 {
				t.Errorf("%s: entry %d: %v", step.what, index, err)
			}
		}
	}
	if err := disk.DeleteRange(103, 105); err == nil || errors.Is(err, ErrDiskFailed) || disk.failure() != nil {
		t.Errorf("making a hole: %v", err)
	}
}

// slowList lets others act while the snapshots are being listed, as compaction does first of all.
type slowList struct {
	listed
	meanwhile func()
}

func (l *slowList) List() ([]*raft.SnapshotMeta, error) {
	if l.meanwhile != nil {
		l.meanwhile()
	}
	return l.listed.List()
}

// between is a log that lets others act while entries are being stored.
type between struct {
	raft.LogStore
	meanwhile func()
}

func (b *between) StoreLogs(logs []*raft.Log) error {
	if b.meanwhile != nil {
		b.meanwhile()
	}
	return b.LogStore.StoreLogs(logs)
}

// TestCompactionBesideWrites has entries stored in the middle of a compaction, and a compaction in the middle
// of storing: none of what was stored is lost or sought where it is not.
func TestCompactionBesideWrites(t *testing.T) {
	for _, c := range []struct {
		what       string
		compacting bool // entries are stored within the compaction, not the other way round
	}{{"stored within", true}, {"compacted within", false}} {
		store := raft.NewInmemStore()
		log, snapshots := &between{LogStore: store}, &slowList{listed: listed{indexes: []uint64{8, 5}}}
		disk, err := openFailStop(&Storage{Log: log, Stable: store, Snapshots: snapshots, Retained: 2})
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(10) {
			if err := disk.StoreLog(&raft.Log{Index: i + 1, Term: 1}); err != nil {
				t.Fatal(err)
			}
		}
		another := func() error { return disk.StoreLog(&raft.Log{Index: 11, Term: 1}) }
		compact := func() error { return disk.DeleteRange(1, 5) }
		var inner error
		if c.compacting {
			snapshots.meanwhile = func() { inner = another() }
			err = compact()
		} else {
			log.meanwhile = func() { log.meanwhile = nil; inner = compact() }
			err = another()
		}
		if err := errors.Join(err, inner, disk.StoreLog(&raft.Log{Index: 12, Term: 1})); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if disk.span != (span{6, 12}) {
			t.Errorf("%s: the log is taken to have %v", c.what, disk.span)
		}
		if last, err := disk.check(); err != nil || last.Index != 12 {
			t.Errorf("%s: entry %d is the last that is there, %v", c.what, last.Index, err)
		}
	}
}

// TestSealKeepsExtensions has what other layers put into an entry come back as it was, and nothing
// of an entry be changed that raft holds.
func TestSealKeepsExtensions(t *testing.T) {
	for _, extensions := range [][]byte{nil, {}, {7}, []byte("others")} {
		l := &raft.Log{Index: 3, Term: 2, Type: raft.LogBarrier, Data: []byte("data"), Extensions: extensions}
		sealed := *sealAll([]*raft.Log{l})[0]
		if string(l.Extensions) != string(extensions) || &sealed.Data[0] != &l.Data[0] {
			t.Error("the entry was changed or copied")
		}
		if err := unseal(&sealed, 3); err != nil || string(sealed.Extensions) != string(extensions) {
			t.Errorf("extensions %q came back as %q, %v", extensions, sealed.Extensions, err)
		}
	}
}

// numbered are entries of term 1.
func numbered(from, to uint64) (all []*raft.Log) {
	for i := from; i <= to; i++ {
		all = append(all, &raft.Log{Index: i, Term: 1, Data: []byte(fmt.Sprint(i))})
	}
	return all
}

// TestCompactionBesideASnapshotThatIsSent has the log begin anew behind a snapshot that was sent, while
// a compaction of the old log is on its way: that must not take the old log for what the new one has.
func TestCompactionBesideASnapshotThatIsSent(t *testing.T) {
	snapshots := &slowList{listed: listed{indexes: []uint64{90, 80}}}
	store := raft.NewInmemStore()
	log := &between{LogStore: store}
	disk, err := openFailStop(&Storage{Log: log, Stable: store, Snapshots: snapshots, Retained: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.StoreLogs(numbered(51, 100)); err != nil {
		t.Fatal(err)
	}
	storing, compacted, stored := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	snapshots.meanwhile = func() {
		log.meanwhile = func() { close(storing); <-compacted }
		go func() { stored <- disk.StoreLogs(numbered(201, 205)) }()
		<-storing
	}
	if err := disk.DeleteRange(51, 80); err != nil {
		t.Fatal(err)
	}
	close(compacted)
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	if disk.span != (span{201, 205}) {
		t.Errorf("the log is taken to have %v", disk.span)
	}
	if err := disk.GetLog(60, &raft.Log{}); err != raft.ErrLogNotFound || disk.failure() != nil {
		t.Errorf("reading an entry of the old log: %v, %v", err, disk.failure())
	}
}

// TestHungListing has the list of snapshots hang, which compaction asks for on raft's main goroutine
// when a snapshot was sent: the node has stalled.
func TestHungListing(t *testing.T) {
	snapshots := &slowList{}
	store := raft.NewInmemStore()
	disk, err := openFailStop(&Storage{Log: store, Stable: store, Snapshots: snapshots, Retained: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.StoreLogs(numbered(1, 9)); err != nil {
		t.Fatal(err)
	}
	listing, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	snapshots.meanwhile = func() { close(listing); <-goOn }
	go func() { done <- disk.DeleteRange(1, 5) }()
	<-listing
	for range stallTicks {
		disk.tick()
	}
	if err := disk.failure(); !errors.Is(err, ErrDiskFailed) {
		t.Errorf("after %d ticks the disk is said to have failed with %v", stallTicks, err)
	}
	close(goOn)
	<-done
}

// TestCacheBehindAGap has the log begin anew behind a snapshot that was sent: what was there before is not
// to be had from the cache in front of it.
func TestCacheBehindAGap(t *testing.T) {
	store := raft.NewInmemStore()
	disk, err := openFailStop(&Storage{Log: store, Stable: store, Snapshots: &listed{}})
	if err != nil {
		t.Fatal(err)
	}
	cache, err := raft.NewLogCache(16, disk)
	if err != nil {
		t.Fatal(err)
	}
	log := raftLog{cache, disk}
	for _, entries := range [][]*raft.Log{numbered(1, 9), numbered(101, 103)} {
		if err := log.StoreLogs(entries); err != nil {
			t.Fatal(err)
		}
	}
	if err := log.GetLog(9, &raft.Log{}); err != raft.ErrLogNotFound {
		t.Errorf("reading an entry that is gone: %v", err)
	}
	if err := log.GetLog(102, &raft.Log{}); err != nil {
		t.Error(err)
	}
}

// gate is a log whose writes are held up while it is closed.
type gate struct {
	raft.LogStore
	open chan struct{}
}

func (g gate) StoreLogs(entries []*raft.Log) error {
	<-g.open
	return g.LogStore.StoreLogs(entries)
}

// TestWork has writes carried out by the goroutine for them and, while one of them hangs there, others beside it.
func TestWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := raft.NewInmemStore()
		log := gate{store, make(chan struct{})}
		disk, err := openFailStop(&Storage{Log: log, Stable: store, Snapshots: &listed{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		worked := make(chan struct{})
		go func() { disk.work(ctx); close(worked) }()
		stored := make(chan error)
		for i := range uint64(3) {
			synctest.Wait()
			go func() { stored <- disk.StoreLogs([]*raft.Log{{Index: i + 1, Term: 1}}) }()
			synctest.Wait()
			if err := disk.SetUint64([]byte("beside"), i); err != nil {
				t.Fatal(err)
			}
			if i == 2 { // it ends, but not before the write
				stop()
				synctest.Wait()
				select {
				case <-worked:
					t.Error("the goroutine for writes ended in the middle of one")
				default:
				}
			}
			log.open <- struct{}{}
			if err := <-stored; err != nil {
				t.Fatal(err)
			}
		}
		<-worked
	})
}
