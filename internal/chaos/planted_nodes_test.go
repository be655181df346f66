package chaos_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/httpapi"
	"github.com/tesd/tesd/internal/chaos"
	"github.com/tesd/tesd/internal/clustertest"
)

// Bugs of nodes, planted between them and their users.

// odd is a node that does some things in its own way.
type odd struct {
	httpapi.Node
	propose func(httpapi.Node, context.Context, fsm.Command) (fsm.Result, error)
	read    func(httpapi.Node, context.Context, cluster.ReadOptions) (fsm.View, error)
	sign    func(httpapi.Node, []byte) (string, error)
}

// Propose is the node's own, or the odd one.
func (n odd) Propose(ctx context.Context, c fsm.Command) (fsm.Result, error) {
	if n.propose == nil {
		return n.Node.Propose(ctx, c)
	}
	return n.propose(n.Node, ctx, c)
}

// Read is the node's own, or the odd one.
func (n odd) Read(ctx context.Context, o cluster.ReadOptions) (fsm.View, error) {
	if n.read == nil {
		return n.Node.Read(ctx, o)
	}
	return n.read(n.Node, ctx, o)
}

// Sign is the node's own, or the odd one.
func (n odd) Sign(payload []byte) (string, error) {
	if n.sign == nil {
		return n.Node.Sign(payload)
	}
	return n.sign(n.Node, payload)
}

// oddly has all nodes be odd.
func oddly(o *chaos.BumpOptions, how odd) {
	o.Seams.Node = func(_ string, n httpapi.Node) httpapi.Node {
		n1 := how
		n1.Node = n
		return n1
	}
}

// acknowledgeAtOnce answers a bump at the leader with what it will come to, and has it carried
// out afterwards.
func acknowledgeAtOnce(o *chaos.BumpOptions) {
	oddly(o, odd{propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
		bump, ok := c.Op.(fsm.Bump)
		if !ok || n.Status().Role != cluster.Leader {
			return n.Propose(ctx, c)
		}
		view := n.View()
		plan, refusal := view.Plan(fsm.Command{Registry: c.Registry, Actor: c.Actor, IfMatch: c.IfMatch, Op: bump})
		if refusal != nil {
			return n.Propose(ctx, c)
		}
		go n.Propose(cluster.WithOrigin(context.WithoutCancel(ctx), cluster.Origin{}), c) // nobody leaves
		revision := plan.Revision + 1
		id := transactionID(view.Cluster().ClusterID, c.Registry, revision)
		return fsm.Result{Registry: c.Registry, Revision: revision, Transaction: &fsm.Transaction{
			Revision: revision, ID: id, Changes: plan.Changes,
		}}, nil
	}})
}

// transactionID is the id that a transaction gets.
func transactionID(clusterID, registry string, revision uint64) string {
	h := sha256.Sum256([]byte(clusterID + "\x00" + registry + "\x00" + strconv.FormatUint(revision, 10)))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func claimNotApplied(o *chaos.BumpOptions) {
	o.Keyless = true // else a repeat finds the truth
	oddly(o, odd{propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
		result, err := n.Propose(ctx, c)
		if errors.Is(err, cluster.ErrUnknownOutcome) {
			err = cluster.ErrNoLeader
		}
		return result, err
	}})
}

// denyUnknown has servers say of each request of unknown outcome that it was not applied. Only users
// over HTTP hear that, and those who have keys repeat it and are told the truth.
func denyUnknown(o *chaos.BumpOptions) {
	o.Direct, o.Web = 1, 32
	o.Seams.Handler = func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(&denial{ResponseWriter: w}, r) })
	}
}

// denial writes an answer, and denies what is unknown.
type denial struct {
	http.ResponseWriter
	denies bool
}

// Unwrap returns what the answer is written to.
func (d *denial) Unwrap() http.ResponseWriter { return d.ResponseWriter }

// WriteHeader writes the status.
func (d *denial) WriteHeader(status int) {
	if d.denies = status == http.StatusGatewayTimeout; d.denies {
		status = http.StatusServiceUnavailable
		d.Header().Del("Content-Length")
	}
	d.ResponseWriter.WriteHeader(status)
}

// Write writes the body.
func (d *denial) Write(body []byte) (int, error) {
	if !d.denies {
		return d.ResponseWriter.Write(body)
	}
	_, err := d.ResponseWriter.Write(bytes.Replace(body, []byte(`"outcome":"unknown"`), []byte(`"outcome":"not_applied"`), 1))
	return len(body), err
}

func trustLeadership(o *chaos.BumpOptions) {
	oddly(o, odd{read: func(n httpapi.Node, ctx context.Context, r cluster.ReadOptions) (fsm.View, error) {
		if n.Status().Role == cluster.Leader && r.MinRevision == 0 {
			return n.View(), nil
		}
		return n.Read(ctx, r)
	}})
}

// rememberReads takes a node's state for fresh for a while after it was: without looking
// whether it has been paused or cut off since.
func rememberReads(o *chaos.BumpOptions) {
	o.Seams.Node = func(_ string, n httpapi.Node) httpapi.Node {
		var fresh atomic.Int64
		return odd{Node: n, read: func(n httpapi.Node, ctx context.Context, r cluster.ReadOptions) (fsm.View, error) {
			if r.MinRevision == 0 && time.Now().UnixNano() < fresh.Load() {
				return n.View(), nil
			}
			view, err := n.Read(ctx, r)
			if err == nil && r.Mode == cluster.Linearizable {
				fresh.Store(time.Now().Add(200 * time.Millisecond).UnixNano())
			}
			return view, err
		}}
	}
}

// readTail has followers answer now and then with all that is in their logs.
func readTail(o *chaos.BumpOptions) {
	var archive *clustertest.Archive
	var reads atomic.Int64
	nodes := make(map[string]*clustertest.Node)
	var mu sync.Mutex
	o.Seams.Archive = func(a *clustertest.Archive) { archive = a }
	o.Seams.Storage = func(n *clustertest.Node, _ *cluster.Storage) {
		mu.Lock()
		defer mu.Unlock()
		nodes[n.ID] = n
	}
	o.Seams.Node = func(id string, n httpapi.Node) httpapi.Node {
		return odd{Node: n, read: func(n httpapi.Node, ctx context.Context, r cluster.ReadOptions) (fsm.View, error) {
			if reads.Add(1)%20 > 0 || n.Status().Role == cluster.Leader {
				return n.Read(ctx, r)
			}
			mu.Lock()
			node := nodes[id]
			mu.Unlock()
			entries, err := archive.Written(node)
			if err != nil || len(entries) == 0 {
				return n.Read(ctx, r)
			}
			m := fsm.New()
			for _, e := range entries {
				m.Apply(e.Index, e.Entry)
			}
			return m.View(), nil
		}}
	}
}

func readTooEarly(o *chaos.BumpOptions) {
	oddly(o, odd{read: func(n httpapi.Node, ctx context.Context, r cluster.ReadOptions) (fsm.View, error) {
		r.MinRevision -= min(r.MinRevision, 1)
		return n.Read(ctx, r)
	}})
}

// splitCascade carries the cascade out below a component by itself, after the component.
func splitCascade(o *chaos.BumpOptions) {
	oddly(o, odd{propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
		bump, ok := c.Op.(fsm.Bump)
		if !ok || !bump.Cascade || bump.EntityID != "component:a" {
			return n.Propose(ctx, c)
		}
		bump.Cascade = false
		c.Op = bump
		result, err := n.Propose(ctx, c)
		if err == nil && result.Transaction != nil {
			bump.EntityID, bump.ExpectedVersion = "api:a", ""
			n.Propose(ctx, fsm.Command{Registry: c.Registry, Actor: c.Actor, Op: bump})
		}
		return result, err
	}})
}

// forgetKeys knows of a key at its first use only.
func forgetKeys(o *chaos.BumpOptions) {
	var used sync.Map
	oddly(o, odd{propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
		if _, again := used.LoadOrStore(c.Key, true); again {
			c.Key = ""
		}
		return n.Propose(ctx, c)
	}})
}

func ignoreIfMatch(o *chaos.BumpOptions) {
	oddly(o, odd{propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
		c.IfMatch = nil
		return n.Propose(ctx, c)
	}})
}

func ignoreExpected(o *chaos.BumpOptions) {
	oddly(o, odd{propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
		if bump, ok := c.Op.(fsm.Bump); ok {
			bump.ExpectedVersion = ""
			c.Op = bump
		}
		return n.Propose(ctx, c)
	}})
}

// shareAnswers takes two bumps of one entity that come at once for one.
func shareAnswers(o *chaos.BumpOptions) {
	type flight struct {
		done   chan struct{}
		result fsm.Result
		err    error
	}
	o.Seams.Node = func(_ string, n httpapi.Node) httpapi.Node {
		var mu sync.Mutex
		flights := make(map[string]*flight)
		return odd{Node: n, propose: func(n httpapi.Node, ctx context.Context, c fsm.Command) (fsm.Result, error) {
			bump, ok := c.Op.(fsm.Bump)
			if !ok || c.IfMatch != nil || bump.ExpectedVersion != "" || bump.Cascade {
				return n.Propose(ctx, c)
			}
			id := fmt.Sprint(bump.EntityID, bump.Scope)
			mu.Lock()
			f := flights[id]
			if f == nil {
				f = &flight{done: make(chan struct{})}
				flights[id] = f
				mu.Unlock()
				f.result, f.err = n.Propose(ctx, c)
				mu.Lock()
				delete(flights, id)
				mu.Unlock()
				close(f.done)
				return f.result, f.err
			}
			mu.Unlock()
			<-f.done
			return f.result, f.err
		}}
	}
}

func signWrongly(o *chaos.BumpOptions) {
	oddly(o, odd{sign: func(n httpapi.Node, payload []byte) (string, error) {
		return n.Sign(append([]byte("tesd"), payload...))
	}})
}
