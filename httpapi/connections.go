package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
)

// connections are those that are open and told of transactions.
type connections struct {
	most int
	life context.Context // ends, with [cluster.ErrShuttingDown], when the server stops

	cancel context.CancelCauseFunc

	mu    sync.Mutex
	open  map[string]*session
	group sync.WaitGroup
}

func newConnections(most int) *connections {
	c := &connections{most: most, open: make(map[string]*session)}
	c.life, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// end ends them all, and lets no more in.
func (c *connections) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel(why)
}

// add takes a connection in, if there is room for it.
func (c *connections) add(n *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life.Err() != nil {
		return cluster.ErrShuttingDown
	}
	if len(c.open) >= c.most {
		return &failure{code: client.CodeTooManyConnections, message: fmt.Sprintf("the node holds %d connections, as many as it may", len(c.open))}
	}
	c.open[n.id] = n
	c.group.Add(1)
	return nil
}

func (c *connections) remove(n *session) {
	c.mu.Lock()
	delete(c.open, n.id)
	c.mu.Unlock()
	c.group.Done()
}

// count returns how many are open.
func (c *connections) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// list returns those that are open, the oldest first.
func (c *connections) list() []client.Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]client.Connection, 0, len(c.open))
	for _, n := range c.open { // any order: they are sorted
		list = append(list, client.Connection{
			ID: n.id, RegistryID: n.c.registry, RemoteAddress: n.c.r.RemoteAddr,
			ConnectedAt: n.connected.UnixMilli(), LastActivity: n.active.Load(), Revision: n.sent.Load(),
		})
	}
	slices.SortFunc(list, func(a, b client.Connection) int {
		return cmp.Or(cmp.Compare(a.ConnectedAt, b.ConnectedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}
