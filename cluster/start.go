package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// startRaft brings the state back from the disk and starts raft on it. A founder bootstraps an
// empty log with the founders; a node that was added has the log from the others. What it has
// opened is closed again if it fails.
func (n *Node) startRaft(founders []founder, gained chan<- bool) (*consensus, error) {
	id, _ := n.founding.state()
	cfg := n.raftConfig(serverID(id.NodeID, id.Incarnation), gained)
	passed, err := n.comeBack()
	if err != nil {
		return nil, err
	}
	const entries = 128 // they hold many commands, so few of them are kept
	disk := raft.LogStore(n.disk)
	if n.cfg.aboveDisk != nil {
		disk = n.cfg.aboveDisk(disk)
	}
	cache, err := raft.NewLogCache(entries, disk)
	if err != nil {
		return nil, fmt.Errorf("caching the log: %w", err)
	}
	trans := &transport{port: n.port, insist: cmp.Or(n.cfg.insist, insistence), NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          n.port,
		MaxPool:         3,
		MaxRPCsInFlight: max(n.cfg.rpcsInFlight, 1), // with 2, a follower whose disk fails for a moment can be left behind for ever
		Timeout:         5 * time.Second,
		Logger:          cfg.Logger.Named("transport"),
	})}
	r, err := n.runRaft(cfg, cache, watchedSnapshots{n.disk.snapshots, n.disk, passed, n.snapshotGiven}, trans, founders)
	if err != nil {
		return nil, errors.Join(err, trans.Close())
	}
	trans.sender.Store(r)
	return &consensus{
		raft: r, transport: trans, leader: newLeaderWatch(),
		index: newReadIndex(cfg.LocalID, r, cache, n.adapter.view, n.calls),
	}, nil
}

// comeBack reads what is on the disk, checks it, and makes it the state of this node. It returns
// the snapshots that cannot be used.
func (n *Node) comeBack() ([]faulty, error) {
	began := time.Now()
	r, err := n.disk.recover()
	if err != nil {
		return nil, err
	}
	if err := n.checkMemory(r); err != nil {
		return nil, err
	}
	if r.faults != nil {
		n.log.Warn("a snapshot is damaged; the node came back from what was before it, and the log", "faults", r.faults, "index", r.index)
		if err := setAside(n.disk.snapshots, r.passed); err != nil {
			return nil, fmt.Errorf("%w: setting a damaged snapshot aside: %w", ErrDiskFailed, err)
		}
	}
	if r.index > 0 {
		n.adapter.become(r.machine, r.size)
	}
	n.log.Info("the data directory was read", "snapshot", r.index, "snapshotBytes", r.size, "lastEntry", r.last.Index, "duration", time.Since(began))
	return r.passed, nil
}

// checkMemory holds what the stable store says against the log. A node whose log reaches a term
// that it knows nothing of, or that took part and has no log, has forgotten what it promised.
func (n *Node) checkMemory(r *recovered) error {
	id, _ := n.founding.state()
	term, err := n.disk.GetUint64([]byte(currentTermKey))
	if err != nil && !isNotFound(err) {
		return err
	}
	empty := r.last.Index == 0 && r.index == 0
	switch {
	case r.last.Term > term:
		return fmt.Errorf("%w: %s: the log reaches term %d, and the node knows of %d", ErrDiskFailed, n.disk.file, r.last.Term, term)
	case empty && term > bootstrapTerm && id.belonged():
		return fmt.Errorf("%w: %s: the log is empty, and the node has been in term %d of its cluster", ErrDiskFailed, n.disk.file, term)
	}
	return nil
}

// bootstrapTerm is the term of the first entry of a log, which says who the founders are.
const bootstrapTerm = 1

// runRaft starts raft. It does so on a goroutine of its own, which ends if the disk fails.
func (n *Node) runRaft(cfg *raft.Config, logs raft.LogStore, snaps raft.SnapshotStore, trans raft.Transport, founders []founder) (r *raft.Raft, err error) {
	err = errors.New("raft did not start")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err = n.bootstrap(founders); err != nil {
			err = fmt.Errorf("bootstrapping: %w", err)
			return
		}
		if r, err = raft.NewRaft(cfg, n.adapter, raftLog{logs, n.disk}, raftStable{n.disk}, snaps, trans); err != nil {
			err = fmt.Errorf("starting raft: %w", err)
		}
	}()
	<-done
	if failure := n.disk.failure(); failure != nil && r == nil {
		return nil, failure
	}
	return r, err
}

// bootstrap writes the first entry of a founder's log: the same on all of them. A crash between
// the term and the entry leaves a founder that would never found; so it is enough that log and
// snapshots are empty, and the term is none or that of the entry.
func (n *Node) bootstrap(founders []founder) error {
	term, err := n.disk.GetUint64([]byte(currentTermKey))
	if err != nil && !isNotFound(err) {
		return err
	}
	last, err := n.disk.LastIndex()
	if err != nil {
		return err
	}
	taken, err := n.disk.snapshots.List()
	if err != nil || len(founders) == 0 || last > 0 || len(taken) > 0 || term > bootstrapTerm {
		return err
	}
	if err := n.disk.SetUint64([]byte(currentTermKey), bootstrapTerm); err != nil {
		return err
	}
	return n.disk.StoreLog(&raft.Log{
		Index: 1, Term: bootstrapTerm, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(configuration(founders)),
	})
}
