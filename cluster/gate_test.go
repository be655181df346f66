package cluster_test

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/clustertest"
)

// gate holds single messages of raft at the node that they have come to, as no fault of a
// link can.
type gate struct {
	mu    sync.Mutex
	holds func(from, to string, request []byte) bool
	open  chan struct{} // closed when what is held may go on
}

// hold holds the requests of which holds says so, until the returned function is called.
func (g *gate) hold(holds func(from, to string, request []byte) bool) (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	open := make(chan struct{})
	g.holds, g.open = holds, open
	return sync.OnceFunc(func() {
		g.mu.Lock()
		g.holds = nil
		g.mu.Unlock()
		close(open)
	})
}

func (g *gate) pass(from, to string, request []byte) {
	g.mu.Lock()
	held, open := g.holds != nil && g.holds(from, to, request), g.open
	g.mu.Unlock()
	if held {
		<-open
	}
}

// gates puts every node of a cluster behind a gate, beside seeding the cluster.
func (g *gate) gates(cfg *cluster.Config) {
	seeded(cfg)
	cfg.Network = gated{cfg.Network, g, cfg.NodeID}
}

type gated struct {
	cluster.Network
	gate *gate
	id   string
}

func (n gated) Listen(address string) (net.Listener, error) {
	l, err := n.Network.Listen(address)
	return gatedListener{l, n}, err
}

type gatedListener struct {
	net.Listener
	to gated
}

func (l gatedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from, _, _ := strings.Cut(conn.RemoteAddr().String(), ":")
	return &gatedConn{Conn: conn, to: l.to, from: from}, nil
}

type gatedConn struct {
	net.Conn
	to       gated
	from     string
	protocol byte // what the connection speaks: its first byte
}

// Read reads. Raft waits for an answer before it writes another request, and reads with a
// large buffer; so what it reads first is a request from its first byte on.
func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case n == 0:
	case c.protocol == 0:
		c.protocol = b[0]
	case c.protocol == 'R' && len(b) > 255: // not the server id that the caller expects
		c.to.gate.pass(c.from, c.to.id, b[:n])
	}
	return n, err
}

// The first byte of a request is its kind, and the fields have their names in it.
const (
	appendEntries   = 0
	installSnapshot = 2
)

func isHeartbeat(request []byte) bool {
	zero := func(field string) bool { return bytes.Contains(request, append([]byte(field), 0)) }
	return request[0] == appendEntries && zero("PrevLogEntry") && zero("PrevLogTerm") && zero("LeaderCommitIndex")
}

// TestSnapshotComesTwice: the leader gives up on a snapshot that is held on its way, and
// sends it again; the follower goes on from there. Then the first one arrives, and takes the
// machine of the follower back. Its reads must not go back with it.
func TestSnapshotComesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		c := clustertest.New(t, 3, g.gates)
		c.Ready()
		f := c.Follower()
		c.Crash(f)
		leader := c.Leader(f)
		for range 20 {
			mustBump(t, leader, "api:a", "")
		}
		for _, n := range without(c, f) {
			if err := n.Current().Snapshot(); err != nil {
				t.Fatal(err)
			}
		}
		sent := 0
		release := g.hold(func(from, to string, request []byte) bool {
			if to != f.ID || request[0] != installSnapshot {
				return false
			}
			sent++
			return sent == 1
		})
		defer release()
		c.Start(f)
		c.Ready()
		mustBump(t, leader, "api:a", "")
		c.Agree()
		synctest.Wait()
		if sent != 2 {
			t.Fatalf("the schedule was not reached: %d snapshots were sent", sent)
		}
		before := f.View().Index()
		release()
		c.Wait("the machine was not taken back", time.Second, func() bool { return f.View().Index() < before })
		readsNot(t, f, "1.0.21", time.Second)
		mustBump(t, leader, "api:a", "")
		if !readsNot(t, f, "1.0.22", time.Second) {
			t.Error("after another write no read is served")
		}
		c.Agree()
	})
}

// TestHeartbeatsTakeTheirTurn is not about reads. A heartbeat of a new leader comes to the
// old one before anything else of it does. If raft's shortcut handled it, beside the old
// leader's main loop, the term would change under the loop's feet: what it is given next it
// would write to its log as an entry of the new leader's term.
func TestHeartbeatsTakeTheirTurn(t *testing.T) {
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			var g gate
			c := clustertest.New(t, 3, g.gates)
			c.Ready()
			old := c.Leader()
			next := without(c, old)[0]
			mustBump(t, old, "api:a", "first")
			<-time.After(100 * time.Millisecond)
			release := g.hold(func(from, to string, request []byte) bool {
				return from == old.ID || to == old.ID && !isHeartbeat(request)
			})
			defer release()
			if err := next.Current().Campaign(); err != nil {
				t.Fatal(err)
			}
			c.Wait("the new leader's heartbeat does not arrive", 300*time.Millisecond, func() bool {
				return next.Status().Role == cluster.Leader && old.Status().Term == next.Status().Term
			})
			entry, err := fsm.JoinEntry(1, [][]byte{fsm.EncodeCommand(nil, patch("api:a"))})
			if err != nil {
				t.Fatal(err)
			}
			applied := make(chan error, 1)
			go func() { applied <- old.Current().ApplyRaw(entry) }()
			<-time.After(5 * time.Millisecond)
			release()
			c.Ready()
			mustBump(t, next, "api:a", "second")
			c.Agree()
			if err := <-applied; err == nil {
				t.Error("a leader that was deposed committed an entry")
			}
		})
	}
}
