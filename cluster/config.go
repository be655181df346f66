package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/tesd/tesd/fsm"
)

// Peer is a founding member of the cluster.
type Peer struct {
	ID      string // node id
	Address string // host:port of its raft port
}

// Network is how a node listens and dials. The zero Config uses TCP; tests bring
// networks that cut, delay and hold.
type Network interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Config says what a node is. It is copied by [Open] and not changed afterwards.
type Config struct {
	NodeID      string
	RaftAddress string // host:port that the node listens on and that its peers dial
	HTTPAddress string // told to whoever asks for the state of the cluster

	// Peers are the founding members, the same on every node. A node that is not among
	// them finds the cluster through them, and waits to be added.
	Peers []Peer

	RegistryID  string // the default registry; fixed when the cluster is founded
	HistoryKeep uint64 // transactions kept per registry, 0 for all; fixed when the cluster is founded

	// SigningKey is the key that signs receipts, the same on every node. Without one
	// the first leader makes one and replicates it.
	SigningKey []byte

	// Seed gives the registry that an empty cluster starts with. The leader calls it
	// while the default registry is at revision 0, before it is ready. May be nil.
	Seed func() (fsm.Migrate, error)

	Storage *Storage     // opened by OpenDir or, for tests, in memory; closed by Node.Run
	Network Network      // nil for TCP
	Logger  hclog.Logger // nil for none
	Timing  Timing       // zero fields take the defaults

	// Clock is the time of day, which entries are stamped with while this node leads; nil for
	// time.Now. It may jump: stamps never go back, and the age of keys grows by ten minutes an
	// entry at most. Nothing else looks at it; what waits or expires does so by time.Now.
	Clock func() time.Time

	// A snapshot is taken when the log since the last one weighs more than SnapshotBytes, or than
	// the size of the last snapshot if that is more; behind one stays what came since the one
	// before, and TrailingLogs entries more, if those do not weigh too much. The log weighs its
	// bytes, 2 KiB for each entry and 512 bytes for each change, for the time that they take.
	// Zero takes the defaults. Tests take less, to see often what is rare otherwise.
	SnapshotBytes int64
	TrailingLogs  uint64

	altered      func(index uint64, entry fsm.Entry) fsm.Entry // see adapter
	rpcsInFlight int                                           // appends under way to one follower; 0 for 1, more is for tests that show why
	insist       time.Duration                                 // 0 for insistence; tests have none, to see what the library does
	aboveDisk    func(raft.LogStore) raft.LogStore             // nil, or what a test puts between raft and the log, where errors do not stop the node
}

// Timing holds the durations that decide latency and availability. The defaults are
// those for a local network and a disk whose writes take less than 400 ms.
type Timing struct {
	// Heartbeat is how long a follower waits for a leader before it campaigns, and how
	// long a campaign lasts. Half a second keeps the 99th percentile of a failover at
	// 1.5 s; a full second brings it to 3 s.
	Heartbeat time.Duration // default 500 ms

	// LeaderLease is how long a leader that hears from no majority leads on. Heartbeats
	// wait behind disk writes, so it must exceed the slowest write at a majority. No
	// read trusts it.
	LeaderLease time.Duration // default four fifths of Heartbeat: 400 ms

	// Commit is how long an idle leader waits before it tells the followers of a new
	// commit index, and so how late they see a commit.
	Commit time.Duration // default 5 ms

	// LeaderWait is how long a request waits for a leader before it fails.
	LeaderWait time.Duration // default 2 s

	// Stop bounds each step of a graceful stop: handing over, draining, shutting down.
	Stop time.Duration // default 2 s
}

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&t.Heartbeat, 500*time.Millisecond)
	set(&t.LeaderLease, t.Heartbeat*4/5)
	set(&t.Commit, 5*time.Millisecond)
	set(&t.LeaderWait, 2*time.Second)
	set(&t.Stop, 2*time.Second)
	return t
}

// Validate reports everything that is wrong with the configuration at once.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := CheckNodeID(c.NodeID); err != nil {
		fault("%w", err)
	}
	if err := fsm.CheckRegistryID(c.RegistryID); err != nil {
		fault("registry id: %w", err)
	}
	if c.Storage == nil {
		fault("there is no storage")
	}
	seen := make(map[string]bool)
	for _, p := range c.Peers {
		if err := CheckNodeID(p.ID); err != nil {
			fault("peer %q: %w", p.ID, err)
		}
		if err := CheckAddress(p.Address); err != nil {
			fault("peer %q: address: %w", p.ID, err)
		}
		if seen[p.ID] || seen[p.Address] {
			fault("peer %q: its id or address stands twice", p.ID)
		}
		seen[p.ID], seen[p.Address] = true, true
	}
	self := slices.IndexFunc(c.Peers, func(p Peer) bool { return p.ID == c.NodeID })
	if len(c.Peers) == 0 {
		fault("there are no peers")
	} else if err := CheckAddress(c.RaftAddress); err != nil {
		fault("raft address: %w", err)
	} else if self >= 0 && c.Peers[self].Address != c.RaftAddress {
		fault("node %q listens on %s but its peers know it at %s", c.NodeID, c.RaftAddress, c.Peers[self].Address)
	}
	return errors.Join(errs...)
}

// CheckNodeID tells whether a node can have this id: one that a registry could have.
func CheckNodeID(id string) error {
	if fsm.CheckRegistryID(id) != nil {
		return fmt.Errorf("node id %q is not 1 to 64 letters, digits, and after the first character . _ -", id)
	}
	return nil
}

// CheckAddress tells whether the raft port of a node can be at this address: host:port.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		return fmt.Errorf("address %q is not host:port, with a port from 1 to 65535", address)
	}
	return nil
}
