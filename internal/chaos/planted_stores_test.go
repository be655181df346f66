package chaos_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/clustertest"
)

// Bugs of stores, planted below the nodes.

// lazy is a log that writes to its disk later than it says. What it has not written when its
// node ends is lost.
type lazy struct {
	raft.LogStore // the disk

	mu   sync.Mutex
	dead bool
	last uint64
	late map[uint64]*raft.Log // by index
}

func writeLater(o *chaos.BumpOptions) {
	var mu sync.Mutex
	running := make(map[string]*lazy)
	o.Seams.Storage = func(n *clustertest.Node, s *cluster.Storage) {
		mu.Lock()
		defer mu.Unlock()
		if old := running[n.ID]; old != nil {
			old.mu.Lock()
			old.dead = true
			old.mu.Unlock()
		}
		l := &lazy{LogStore: s.Log, late: make(map[uint64]*raft.Log)}
		running[n.ID], s.Log = l, l
	}
}

// StoreLog takes an entry.
func (l *lazy) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs takes entries, and writes them in a while.
func (l *lazy) StoreLogs(logs []*raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range logs {
		l.late[e.Index], l.last = e, e.Index
	}
	time.AfterFunc(30*time.Millisecond, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		var still []*raft.Log
		for _, e := range logs {
			if l.late[e.Index] == e && !l.dead {
				still = append(still, e)
				delete(l.late, e.Index)
			}
		}
		if len(still) > 0 {
			l.LogStore.StoreLogs(still)
		}
	})
	return nil
}

// LastIndex returns the last index, also of what is not written yet.
func (l *lazy) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, err := l.LogStore.LastIndex()
	if len(l.late) > 0 {
		last = l.last
	}
	return last, err
}

// GetLog returns an entry, also one that is not written yet.
func (l *lazy) GetLog(index uint64, e *raft.Log) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if late := l.late[index]; late != nil {
		*e = *late
		return nil
	}
	return l.LogStore.GetLog(index, e)
}

// DeleteRange deletes entries.
func (l *lazy) DeleteRange(first, last uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.late { // any order
		if first <= i && i <= last {
			delete(l.late, i)
		}
	}
	l.last = first - 1
	return l.LogStore.DeleteRange(first, last)
}

// impatient is a log that gives a write up which takes long. The node stops for it, and is started
// again; but nothing keeps the write from landing afterwards.
type impatient struct {
	raft.LogStore
	node *clustertest.Node
}

func abandonWrites(o *chaos.BumpOptions) {
	o.Seams.Storage = func(n *clustertest.Node, s *cluster.Storage) { s.Log = impatient{s.Log, n} }
}

// StoreLog writes an entry.
func (s impatient) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs writes entries, or gives up.
func (s impatient) StoreLogs(logs []*raft.Log) error {
	done := make(chan error, 1)
	go func() { done <- s.LogStore.StoreLogs(logs) }()
	select {
	case err := <-done:
		return err
	case <-time.After(60 * time.Millisecond):
		disk := s.node.Store
		time.AfterFunc(400*time.Millisecond, func() { disk.StoreLogs(logs) })
		return errors.New("the write takes too long")
	}
}

// retold is a store whose snapshots are made again from the log, in another way, when they are
// opened.
type retold struct {
	raft.SnapshotStore
	archive *clustertest.Archive
	tell    func([]clustertest.Applied) []clustertest.Applied
}

// Open opens a snapshot.
func (s retold) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		return meta, r, err
	}
	entries, err := s.archive.Entries(meta.Index)
	if err != nil { // there is nobody to ask
		return meta, r, nil
	}
	r.Close()
	m := fsm.New()
	for _, e := range s.tell(entries) {
		m.Apply(e.Index, e.Entry)
	}
	var b bytes.Buffer
	if _, err := m.View().WriteTo(&b); err != nil {
		return nil, nil, err
	}
	own := *meta
	own.Size = int64(b.Len())
	return &own, io.NopCloser(&b), nil
}

// retell has the snapshots of all nodes tell something else.
func retell(o *chaos.BumpOptions, tell func([]clustertest.Applied) []clustertest.Applied) {
	o.Storms, o.Seldom = 20, 8 // so that some are taken, and read, and keys are old
	var archive *clustertest.Archive
	o.Seams.Archive = func(a *clustertest.Archive) { archive = a }
	o.Seams.Storage = func(_ *clustertest.Node, s *cluster.Storage) {
		s.Snapshots = retold{s.Snapshots, archive, tell}
	}
}

func loseKeys(o *chaos.BumpOptions) {
	retell(o, func(entries []clustertest.Applied) []clustertest.Applied {
		used := make(map[string]bool)
		for i := range entries {
			var kept []fsm.Command
			for _, c := range entries[i].Entry.Commands {
				if c.Key != "" && used[c.Key] {
					continue // it was a repeat
				}
				used[c.Key] = true
				c.Key = ""
				kept = append(kept, c)
			}
			entries[i].Entry.Commands = kept
		}
		return entries
	})
}

func loseRecord(o *chaos.BumpOptions) {
	retell(o, func(entries []clustertest.Applied) []clustertest.Applied {
		last := &entries[len(entries)-1].Entry
		last.Commands = last.Commands[:max(len(last.Commands), 1)-1]
		return entries
	})
}

// forgetVotes has a node lose its log, and come back under the name by which it had promised
// others to have it.
func forgetVotes(o *chaos.BumpOptions) {
	var archive *clustertest.Archive
	o.Seams.Archive = func(a *clustertest.Archive) { archive = a }
	// Who has applied what is lost would wait for ever, as leader, for what it writes in its place. So
	// there is one at a time, and in the end all nodes begin anew.
	var busy sync.Mutex
	o.Seams.Fault = func(c *clustertest.Cluster, rng *rand.Rand) bool {
		if !busy.TryLock() {
			return false
		}
		defer busy.Unlock()
		leader := c.Leader()
		has := c.Follower()
		var lacks *clustertest.Node
		for _, n := range c.Nodes {
			if n != leader && n != has {
				lacks = n
			}
		}
		c.Net.Isolate(lacks.ID)
		<-time.After(200 * time.Millisecond) // what is written now, two have
		c.Crash(has)
		key := []byte("tesd identity")
		identity, err := has.Store.Get(key)
		if err != nil {
			return false
		}
		has.Wipe()
		archive.Keep(has)
		if err := has.Store.Set(key, identity); err != nil {
			return false
		}
		c.Net.Isolate(leader.ID)
		c.TryStart(has) // one that stopped by itself may have been started already
		c.Net.Rejoin(lacks.ID)
		<-time.After(2 * time.Second)
		c.Crash(c.Nodes...)
		c.Net.Rejoin(leader.ID)
		for _, n := range c.Nodes {
			c.TryStart(n)
		}
		return true
	}
}
