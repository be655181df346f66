package chaos

import (
	"context"
	"errors"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/clustertest"
)

// read reads some entities at one node: linearizable, of a revision at least, or stale.
func (u *user) read() {
	n := u.pick()
	r := bumpcheck.Read{Client: u.id, Node: n.ID}
	o := cluster.ReadOptions{Registry: clustertest.Registry}
	switch chance := u.rng.IntN(10); {
	case chance < 1:
		r.Stale, o.Mode = true, cluster.Stale
	case chance < 2:
		r.Stale, o.Mode = true, cluster.Stale
		r.AtLeast = max(u.w.Known(), 1)
	case chance < 3:
		r.AtLeast = max(u.w.Known(), 1)
	}
	o.MinRevision = r.AtLeast
	node := u.v.node(n)
	if node == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), u.limit())
	defer cancel()
	r.Call = u.clock.Add(1)
	view, err := node.Read(ctx, o)
	r.Return = u.clock.Add(1)
	if err != nil {
		u.counts[countReadsFailed]++
		if !errors.Is(err, cluster.ErrNoLeader) && !errors.Is(err, cluster.ErrNotReady) && !errors.Is(err, cluster.ErrShuttingDown) {
			u.w.Fail("a read at %s: %v is no error that a client knows", n.ID, err)
		}
		return
	}
	registry, ok := view.Registry(clustertest.Registry)
	if !ok {
		u.w.Fail("a read at %s shows no registry", n.ID)
		return
	}
	r.Revision = registry.Revision()
	r.Saw = []bumpcheck.Seen{see(registry, hot(u.rng)), see(registry, u.entity())}
	if r.Saw[0].Entity == r.Saw[1].Entity {
		r.Saw = r.Saw[:1]
	}
	if u.rng.IntN(8) == 0 && !u.hashes.check(view) {
		u.w.Fail("%s has another state at index %d than another node", n.ID, view.Index())
	}
	u.keepRead(r)
}

// see is an entity as a view shows it.
func see(r fsm.Registry, id string) bumpcheck.Seen {
	if e, ok := r.Entity(id); ok {
		return bumpcheck.Seen{Entity: id, Version: e.CurrentVersion, Name: e.DisplayName}
	}
	return bumpcheck.Seen{Entity: id}
}

// keepRead records a read.
func (u *user) keepRead(r bumpcheck.Read) {
	u.counts[countReads]++
	if r.Stale {
		u.counts[countReadsStale]++
	}
	u.revision = max(u.revision, r.Revision)
	u.w.learn(r.Revision)
	for _, saw := range r.Saw {
		u.versions[saw.Entity] = saw.Version
	}
	u.record.Reads = append(u.record.Reads, r)
}
