package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
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
	Node    func(httpapi.Node) httpapi.Node // between the cluster and the server
	Handler func(http.Handler) http.Handler // between the server and its callers
}

// virtual is a cluster of whole nodes, with their HTTP servers, inside a bubble.
type virtual struct {
	*clustertest.Cluster
	archive   *clustertest.Archive
	seams     Seams
	heartbeat time.Duration
	faces     map[*clustertest.Node]*face
	t         *testing.T
}

// face is the HTTP side of a node that runs.
type face struct {
	api    *httpapi.Server
	server *http.Server
}

const httpPort = ":8000"

// newVirtual makes a cluster of three. Snapshots come often, and leave little log behind.
func newVirtual(t *testing.T, o Options) *virtual {
	v := &virtual{
		archive: clustertest.NewArchive(), seams: o.Seams, heartbeat: 2 * time.Second,
		faces: make(map[*clustertest.Node]*face), t: t,
	}
	v.Cluster = clustertest.Prepare(t, 3, func(cfg *cluster.Config) {
		cfg.Seed = clustertest.Seed
		cfg.HistoryKeep = o.HistoryKeep
		cfg.SnapshotBytes, cfg.TrailingLogs = 16<<10, 4
		cfg.HTTPAddress = cfg.NodeID + httpPort
	})
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

// delay has everything take a while that nodes send to each other and to users.
func (v *virtual) delay(seed uint64, users ...string) {
	rng := rand.New(rand.NewPCG(seed, 2))
	some := func() time.Duration { return 100*time.Microsecond + upTo(rng, 2*time.Millisecond) }
	for _, n := range v.Nodes {
		for _, m := range v.Nodes {
			if n != m {
				v.Net.Delay(n.ID, m.ID, some)
			}
		}
		for _, user := range users {
			v.Net.Delay(n.ID, user, some)
		}
	}
}

// start starts a node and its server.
func (v *virtual) start(n *clustertest.Node) {
	v.t.Helper()
	v.Start(n)
	var node httpapi.Node = n.Current()
	if v.seams.Node != nil {
		node = v.seams.Node(node)
	}
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
	f := &face{api: api, server: &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}}
	v.faces[n] = f
	go f.server.Serve(l)
}

// unserve ends the server of a node, at once.
func (v *virtual) unserve(n *clustertest.Node) {
	f := v.faces[n]
	if f == nil {
		return
	}
	delete(v.faces, n)
	f.api.Drain()
	f.server.Close()
	f.api.Close()
}

// crash ends a node as if its process had been killed.
func (v *virtual) crash(n *clustertest.Node) {
	v.Net.Crash(n.ID)
	v.unserve(n)
	v.Crash(n)
}

// stop ends a node in good order, as its process does when it is told to.
func (v *virtual) stop(n *clustertest.Node) {
	f := v.faces[n]
	f.api.Drain()
	pause(context.Background(), 300*time.Millisecond)
	f.api.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if errors.Is(f.server.Shutdown(ctx), context.DeadlineExceeded) {
		f.server.Close()
	}
	delete(v.faces, n)
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
