package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// Node is one member of the cluster. Its methods may be called concurrently, from
// [Open] on until after [Node.Run] has returned; they fail with [ErrNotReady] or
// [ErrShuttingDown] while the node does not run.
type Node struct {
	cfg             Config
	log             hclog.Logger
	disk            *failStop
	configuredKeyID string // of Config.SigningKey; empty without one
	signer          signer

	port     *port
	calls    *caller
	founding *founding
	proposer *proposer
	entries  *underway
	adapter  *adapter

	life     context.Context // ends when the node stops for good
	kill     context.CancelFunc
	failure  chan error // holds the reason for which the node must stop
	draining atomic.Bool
	heard    atomic.Bool // a read index round has been completed since the start
	full     atomic.Bool // the disk nearly is
	removed  atomic.Bool // as far as this node knows, it is no member any more
	compared compared    // with the states of the others

	snapshotsFailed atomic.Uint64 // that this node could not write, since its start

	unwritten atomic.Pointer[unwritten] // the snapshot that was sent last; nil if it was written

	silent   sync.Map   // when peers did not say how they are, by id
	changing sync.Mutex // held while the membership changes at this node, as leader

	seedFault atomic.Pointer[error]     // why this node could not import the registry to start with; see unseeded
	consensus atomic.Pointer[consensus] // nil until this node is a member
}

// consensus is raft and what lives and dies with it.
type consensus struct {
	raft      *raft.Raft
	transport *transport
	index     *readIndex
	leader    *leaderWatch
	handovers handovers
}

// Open makes a node of the configuration. It listens on the raft port but starts
// nothing. On success the node owns the storage; Run closes it.
func Open(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration of the node: %w", err)
	}
	cfg.Timing = cfg.Timing.withDefaults()
	cfg.SnapshotBytes = cmp.Or(cfg.SnapshotBytes, snapshotBytes)
	cfg.TrailingLogs = cmp.Or(cfg.TrailingLogs, trailingEntries)
	if cfg.Network == nil {
		cfg.Network = tcp{}
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	disk, err := openFailStop(cfg.Storage)
	if err != nil {
		return nil, err
	}
	id, err := loadIdentity(disk, cfg.NodeID)
	if err != nil {
		return nil, err
	}
	if err := checkDiverged(disk); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, log: cfg.Logger, disk: disk, failure: make(chan error, 1)}
	disk.failed, disk.wrote = n.diskFailed, n.newSlowness().note
	if len(cfg.SigningKey) > 0 {
		n.configuredKeyID = keyID(cfg.SigningKey)
	}
	n.life, n.kill = context.WithCancel(context.Background())
	n.adapter = newAdapter(n.life, n.fail)
	n.adapter.altered = cfg.altered
	n.proposer, n.entries = newProposer(n), newUnderway()
	n.founding = newFounding(cfg.Peers, cfg.RaftAddress, disk, id)
	n.founding.ask = n.probe
	n.port, err = listen(cfg.Network, serverID(id.NodeID, id.Incarnation), cfg.RaftAddress, func(conn net.Conn) {
		serveCalls(conn, (&service{n}).handle)
	})
	if err != nil {
		return nil, fmt.Errorf("listening on the raft port: %w", err)
	}
	n.port.expected = n.memberAt
	n.calls = newCaller(func(ctx context.Context, address string) (net.Conn, error) {
		return n.port.dial(ctx, address, []byte{protocolCalls})
	})
	return n, nil
}

// started returns the consensus, or nil while this node is no member yet.
func (n *Node) started() *consensus { return n.consensus.Load() }

// fail tells the node to stop, with the reason that Run returns.
func (n *Node) fail(err error) {
	select {
	case n.failure <- err:
	default: // it is stopping already
	}
}

// diskFailed tells the node to stop for want of a disk.
func (n *Node) diskFailed(err error) {
	n.log.Error("disk_failed", "error", err)
	n.fail(err)
}

func (n *Node) probe(ctx context.Context, address string, request probeCall) (probeReply, error) {
	return call[probeReply](ctx, n.calls, address, methodProbe, request)
}

// Run is the node's life. It founds or joins the cluster, serves until ctx ends, then
// hands leadership over, stops, and closes the storage. It returns nil after such a
// graceful stop, and otherwise the reason for which the node could not go on. It is
// called once.
func (n *Node) Run(ctx context.Context) error {
	go n.disk.work(n.life) // not waited for: a write that hangs holds it, and nothing else does
	var group sync.WaitGroup
	group.Go(func() { n.disk.watch(n.life) })
	group.Go(func() {
		if err := n.port.serve(); err != nil {
			n.fail(fmt.Errorf("serving the raft port: %w", err))
		}
	})
	err := n.live(ctx, &group)
	n.draining.Store(true)
	n.kill()
	n.calls.close()
	n.port.Close()
	ended := n.bounded(func() error { group.Wait(); return nil })
	if close := n.cfg.Storage.Close; close != nil && ended == nil && !n.disk.busy() {
		err = errors.Join(err, n.bounded(close))
	}
	if failure := n.disk.failure(); failure != nil {
		return failure // what else went wrong comes from it
	}
	return errors.Join(err, ended)
}

// bounded waits for do to return. Beside a disk that has failed it does not wait long: what hangs
// there ends with the process.
func (n *Node) bounded(do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-n.disk.poisoned:
	}
	select {
	case err := <-done:
		return err
	case <-time.After(n.cfg.Timing.Stop):
		return errors.New("the node did not stop in time")
	}
}

// live founds or joins the cluster and serves until ctx ends or something fails.
func (n *Node) live(ctx context.Context, group *sync.WaitGroup) error {
	joining, stop := context.WithCancel(ctx)
	defer stop()
	joined := make(chan error, 1)
	var founders []founder
	go func() { // ends with joining
		var err error
		founders, err = n.founding.join(joining)
		joined <- err
	}()
	select {
	case err := <-joined:
		if ctx.Err() != nil {
			return nil
		} else if err != nil {
			return fmt.Errorf("founding the cluster: %w", err)
		}
	case err := <-n.failure:
		stop()
		n.bounded(func() error { return <-joined })
		return err
	}
	gained := make(chan bool, 16) // raft waits when it is full
	var c *consensus
	if err := n.bounded(func() (err error) { c, err = n.startRaft(founders, gained); return err }); err != nil {
		return err
	}
	n.consensus.Store(c)
	group.Go(func() { n.adapter.feed.Run(n.life) })
	group.Go(func() { n.proposer.run(n.life) })
	group.Go(func() { c.index.run(n.life) })
	group.Go(func() { n.watchLeader(n.life, c) })
	group.Go(func() { n.lead(n.life, c, gained) })
	group.Go(func() { n.keepHouse(n.life, c) })
	group.Go(func() { n.compareStates(n.life, c) })
	select {
	case <-ctx.Done():
		n.handOver(c)
		return n.stopRaft(c)
	case err := <-n.failure:
		return errors.Join(err, n.stopRaft(c))
	}
}

func (n *Node) raftConfig(id raft.ServerID, gained chan<- bool) *raft.Config {
	cfg := raft.DefaultConfig()
	cfg.LocalID = id
	cfg.Logger = n.log.Named("raft")
	cfg.HeartbeatTimeout = n.cfg.Timing.Heartbeat
	cfg.ElectionTimeout = n.cfg.Timing.Heartbeat
	cfg.LeaderLeaseTimeout = n.cfg.Timing.LeaderLease
	cfg.CommitTimeout = n.cfg.Timing.Commit
	cfg.NotifyCh = gained
	cfg.MaxAppendEntries = 16           // an entry may have 256 KiB and more, and all that is sent at once must arrive in time
	cfg.ShutdownOnRemove = false        // a removed node stays up and says so
	cfg.NoSnapshotRestoreOnStart = true // the node has done it
	cfg.NoLegacyTelemetry = true
	// Snapshots are taken by size, by keepHouse: a count of entries says little when an
	// entry holds one command or a thousand.
	cfg.SnapshotThreshold = math.MaxUint64
	cfg.SnapshotInterval = time.Hour
	cfg.TrailingLogs = n.cfg.TrailingLogs
	return cfg
}

// handOver takes no more reads and gives leadership away, so that the cluster does not
// have to wait for an election.
func (n *Node) handOver(c *consensus) {
	n.draining.Store(true)
	if c.raft.State() != raft.Leader || len(c.raft.GetConfiguration().Configuration().Servers) == 1 {
		return
	}
	if c.handovers.failed(c.raft.CurrentTerm(), "") { // raft would choose to whom
		n.log.Warn("leadership is not handed over: a node did not take it in this term")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(n.cfg.Timing.Stop, 2*n.cfg.Timing.Heartbeat)) // raft gives up by then
	defer cancel()
	if err := n.await(ctx, c.raft.LeadershipTransfer); err != nil {
		n.log.Warn("leadership could not be handed over in time", "error", err)
		return
	}
	n.log.Info("leadership handed over")
}

// stopRaft lets what was proposed come to an end, shuts raft down and ends its
// connections.
func (n *Node) stopRaft(c *consensus) error {
	n.adapter.hurry()
	n.entries.close(n.cfg.Timing.Stop)
	stopped := make(chan error, 1)
	future := c.raft.Shutdown()
	n.port.hangUp()
	go func() { stopped <- future.Error() }()
	var err error
	select {
	case err = <-stopped:
	case <-time.After(n.cfg.Timing.Stop):
		err = errors.New("raft did not shut down in time")
	}
	c.transport.CloseStreams()
	return err
}
