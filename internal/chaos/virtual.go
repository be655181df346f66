package chaos

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/watchcheck"
)

// Seams are where a test plants a fault between the parts of a node. All may be nil.
type Seams struct {
	Node    func(id string, n httpapi.Node) httpapi.Node               // between the cluster and its users
	Handler func(http.Handler) http.Handler                            // between the server and its callers
	Storage func(n *clustertest.Node, s *cluster.Storage)              // between a node and its stores, at each start
	Fault   func(c *clustertest.Cluster, rng *rand.Rand) (effect bool) // FaultPlanted
	Archive func(*clustertest.Archive)                                 // is given what the nodes write
}

// virtual is a cluster of whole nodes, with their HTTP servers, inside a bubble.
type virtual struct {
	*clustertest.Cluster
	archive   *clustertest.Archive
	seams     Seams
	mute      bool
	unit      time.Duration // how long a follower waits for a leader: what is long, and what is short
	heartbeat time.Duration // of the servers
	links     links
	t         *testing.T

	mu     sync.Mutex
	faces  map[*clustertest.Node]*face        // of those that serve
	nodes  map[*clustertest.Node]httpapi.Node // as they were started last, and as users see them
	clocks map[string]*clock                  // by node id
	ended  map[*clustertest.Node]error        // why they last stopped by themselves
}

// face is the HTTP side of a node that runs.
type face struct {
	api    *httpapi.Server
	server *http.Server
}

const httpPort = ":8000"

// shape says what a cluster in a bubble is like.
type shape struct {
	nodes     int
	mute      bool // no node serves HTTP: to make a server takes longer than to start a node
	seams     Seams
	configure func(*cluster.Config) // beside what all have in common
}

// newVirtual makes a cluster. Its nodes found it, and are ready.
func newVirtual(t *testing.T, s shape) *virtual {
	v := &virtual{
		archive: clustertest.NewArchive(), seams: s.seams, mute: s.mute, heartbeat: 2 * time.Second, t: t,
		faces: make(map[*clustertest.Node]*face), nodes: make(map[*clustertest.Node]httpapi.Node),
		clocks: make(map[string]*clock), ended: make(map[*clustertest.Node]error),
	}
	if s.seams.Archive != nil {
		s.seams.Archive(v.archive)
	}
	v.Cluster = clustertest.Prepare(t, s.nodes, func(cfg *cluster.Config) {
		cfg.HTTPAddress = cfg.NodeID + httpPort
		cfg.Clock = v.clock(cfg.NodeID).now
		s.configure(cfg)
		cfg.Storage.Snapshots = clustertest.SlowListing(cfg.Storage.Snapshots)
		if s.seams.Storage != nil {
			s.seams.Storage(v.byID(cfg.NodeID), cfg.Storage)
		}
	})
	var common cluster.Config
	s.configure(&common)
	v.unit = cmp.Or(common.Timing.Heartbeat, 500*time.Millisecond)
	t.Cleanup(func() {
		for _, n := range v.Nodes {
			v.unserve(n)
		}
	})
	for _, n := range v.Nodes {
		v.archive.Keep(n)
		v.start(n)
	}
	v.Ready()
	return v
}

func (v *virtual) byID(id string) *clustertest.Node {
	for _, n := range v.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// node returns a node as users see it. One that does not run refuses what they ask for.
func (v *virtual) node(n *clustertest.Node) httpapi.Node {
	if current := n.Current(); v.seams.Node == nil && current != nil {
		return current
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.nodes[n]
}

// clock returns the clock of a node, which outlives its process.
func (v *virtual) clock(id string) *clock {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.clocks[id]
	if c == nil {
		c = &clock{}
		v.clocks[id] = c
	}
	return c
}

// start starts a node and its server.
func (v *virtual) start(n *clustertest.Node) {
	v.t.Helper()
	if err := v.tryStart(n); err != nil {
		v.t.Fatalf("opening %s: %v", n.ID, err)
	}
}

// tryStart is start for a node that may refuse to be opened.
func (v *virtual) tryStart(n *clustertest.Node) error {
	v.t.Helper()
	if err := v.TryStart(n); err != nil {
		return err
	}
	var node httpapi.Node = n.Current()
	if v.seams.Node != nil {
		node = v.seams.Node(n.ID, node)
	}
	v.mu.Lock()
	v.nodes[n] = node
	v.mu.Unlock()
	if !v.mute {
		v.serve(n, node)
	}
	return nil
}

// serve has a node serve HTTP.
func (v *virtual) serve(n *clustertest.Node, node httpapi.Node) {
	v.t.Helper()
	api, err := httpapi.New(httpapi.Config{
		Node: node, DefaultRegistry: clustertest.Registry, AlarmTimeout: 5 * time.Minute, Log: unheard{},
		MaxConnections: 1000, Heartbeat: v.heartbeat, Patience: 2 * time.Second,
	})
	if err != nil {
		v.t.Fatal(err)
	}
	handler := api.Handler()
	if v.seams.Handler != nil {
		handler = v.seams.Handler(handler)
	}
	l, err := v.Net.Listen(n.ID + httpPort)
	if err != nil {
		v.t.Fatal(err)
	}
	f := &face{api: api, server: &http.Server{
		Handler: handler, ConnContext: httpapi.ConnContext, ReadHeaderTimeout: 5 * time.Second,
	}}
	v.mu.Lock()
	v.faces[n] = f
	v.mu.Unlock()
	go f.server.Serve(httpapi.Listener(l))
}

// takeFace returns the face of a node, which has none from then on; nil if it had none.
func (v *virtual) takeFace(n *clustertest.Node) *face {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.faces[n]
	delete(v.faces, n)
	return f
}

// unserve ends the server of a node, at once.
func (v *virtual) unserve(n *clustertest.Node) {
	f := v.takeFace(n)
	if f == nil {
		return
	}
	f.api.Drain()
	f.server.Close()
	f.api.Close()
}

// crash ends nodes at once as if their processes had been killed: nothing that they do from now
// on reaches their disks or anyone. It returns how many connections broke.
func (v *virtual) crash(nodes ...*clustertest.Node) (broken int) {
	broken = v.Crash(nodes...)
	for _, n := range nodes {
		v.unserve(n)
	}
	return broken
}

// stop ends a node in good order, as its process does when it is told to.
func (v *virtual) stop(n *clustertest.Node) {
	f := v.takeFace(n)
	if f == nil {
		v.Stop(n)
		return
	}
	f.api.Drain()
	pause(context.Background(), 300*time.Millisecond)
	f.api.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if errors.Is(f.server.Shutdown(ctx), context.DeadlineExceeded) {
		f.server.Close()
	}
	v.Stop(n)
}

// world is the cluster as its users see it.
func (v *virtual) world() *World {
	w := &World{Heartbeat: v.heartbeat, Dial: func(host string) Dial {
		return func(ctx context.Context, _, address string) (net.Conn, error) { return v.Net.Dial(ctx, host, address) }
	}}
	for _, n := range v.Nodes {
		w.Endpoints = append(w.Endpoints, Endpoint{ID: n.ID, URL: "http://" + n.ID + httpPort})
	}
	w.Committed = func(context.Context) uint64 {
		most := w.known.Load()
		for _, n := range v.Nodes {
			if r, ok := n.View().Registry(clustertest.Registry); ok {
				most = max(most, r.Revision())
			}
		}
		return most
	}
	return w
}

// history is what must have happened, by the entries of the log up to where all nodes agree.
func (v *virtual) history() *watchcheck.History {
	v.t.Helper()
	agreed := v.Agree()
	h := &watchcheck.History{ClusterID: agreed.Cluster().ClusterID, Oldest: []uint64{1}}
	end, err := v.archive.Replay(agreed.Index(), func(view fsm.View, results []fsm.Result) {
		for _, r := range results {
			if r.Transaction == nil || r.Replayed || r.Registry != clustertest.Registry {
				continue
			}
			h.Transactions = append(h.Transactions, transactionOf(r.Transaction))
			h.Oldest = append(h.Oldest, 0)
		}
		if r, ok := view.Registry(clustertest.Registry); ok {
			for i := r.Revision(); i < uint64(len(h.Oldest)) && h.Oldest[i] == 0; i-- {
				h.Oldest[i] = r.OldestRevision() // of an entry with several, as late as the last one
			}
		}
	})
	if err != nil {
		v.t.Fatal(err)
	}
	if end.StateHash() != agreed.StateHash() {
		v.t.Fatal("the nodes agree on another state than their logs come to")
	}
	h.TypeOf = TypeOf
	return h
}

// unheard is a log that nobody reads.
type unheard struct{}

func (unheard) IsInfo() bool         { return false }
func (unheard) Info(string, ...any)  {}
func (unheard) Warn(string, ...any)  {}
func (unheard) Error(string, ...any) {}
