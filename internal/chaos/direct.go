package chaos

import (
	"context"
	"errors"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/watchcheck"
)

// direct is how a user reaches nodes in its own process: without HTTP, which costs more than all
// the rest.
type direct struct{ *user }

func (u direct) release() {}

// spelled leaves the name as it is: commands say it as their actor.
func (u direct) spelled(*bumpcheck.Request) {}

func (u direct) place() string { return u.pick().ID }

// pick returns a node to ask; seldom one that does not run.
func (u direct) pick() *clustertest.Node {
	n := u.v.Nodes[u.rng.IntN(len(u.v.Nodes))]
	for range 2 {
		if n.Running() {
			break
		}
		n = u.v.Nodes[u.rng.IntN(len(u.v.Nodes))]
	}
	return n
}

// send sends a write once.
func (u direct) send(place string, s *sent, limit time.Duration) attempt {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	a := attempt{node: place, outcome: bumpcheck.NotApplied}
	node := u.v.node(u.v.byID(place))
	if node == nil {
		return a
	}
	command := commandOf(s.request, s.text)
	command.Registry, command.Actor = clustertest.Registry, s.request.Name
	if s.keyed {
		command.Key = s.request.Name
	}
	result, err := node.Propose(ctx, command)
	switch {
	case err == nil && result.Refusal != nil:
		a.outcome = bumpcheck.Refused
		a.refusal = bumpcheck.Refusal{Code: string(result.Refusal.Code), Entity: result.Refusal.EntityID, Actual: result.Refusal.Actual}
	case err == nil:
		a.outcome = bumpcheck.Acknowledged
		a.answer = bumpcheck.Answer{Node: place, Revision: result.Revision}
		if t := result.Transaction; t != nil {
			a.answer.TransactionID, a.answer.Changes = t.ID, changesOf(t.Changes)
			a.sign = func() string { return u.signature(place, t) }
		}
	case errors.Is(err, cluster.ErrUnknownOutcome):
		a.outcome = bumpcheck.Unknown
	case errors.Is(err, cluster.ErrNoLeader), errors.Is(err, cluster.ErrNotReady), errors.Is(err, cluster.ErrShuttingDown),
		errors.Is(err, cluster.ErrBusy), errors.Is(err, cluster.ErrStorageFull):
	default:
		a.err = err
	}
	return a
}

// signature asks a node for that of a transaction; "" if the node is no more.
func (u direct) signature(place string, t *fsm.Transaction) string {
	signature, _ := u.v.node(u.v.byID(place)).Sign(t.Payload())
	return signature
}

// read reads once.
func (u direct) read(r *bumpcheck.Read, limit time.Duration) bool {
	n := u.pick()
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
		return false
	}
	r.Node = n.ID
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r.Call = u.clock.Add(1)
	view, err := node.Read(ctx, o)
	r.Return = u.clock.Add(1)
	if err != nil {
		if !errors.Is(err, cluster.ErrNoLeader) && !errors.Is(err, cluster.ErrNotReady) && !errors.Is(err, cluster.ErrShuttingDown) {
			u.w.Fail("a read at %s: %w is no error that a client knows", n.ID, err)
		}
		return false
	}
	registry, ok := view.Registry(clustertest.Registry)
	if !ok {
		u.w.Fail("a read at %s shows no registry", n.ID)
		return false
	}
	r.Revision = registry.Revision()
	r.Saw = []bumpcheck.Seen{see(registry, hot(u.rng)), see(registry, u.entity())}
	if r.Saw[0].Entity == r.Saw[1].Entity {
		r.Saw = r.Saw[:1]
	}
	if u.rng.IntN(8) == 0 && !u.hashes.check(view) {
		u.w.Fail("%s has another state at index %d than another node", n.ID, view.Index())
	}
	return true
}

// see is an entity as a view shows it.
func see(r fsm.Registry, id string) bumpcheck.Seen {
	if e, ok := r.Entity(id); ok {
		return bumpcheck.Seen{Entity: id, Version: e.CurrentVersion, Name: e.DisplayName}
	}
	return bumpcheck.Seen{Entity: id}
}

func changesOf(changes []fsm.Change) []watchcheck.Change {
	all := make([]watchcheck.Change, len(changes))
	for i, c := range changes {
		all[i] = watchcheck.Change{EntityID: c.EntityID, OldVersion: c.OldVersion, NewVersion: c.NewVersion, DisplayName: c.DisplayName}
	}
	return all
}

// commandOf is a request as a node takes it.
func commandOf(r *bumpcheck.Request, text string) fsm.Command {
	bump := func(b bumpcheck.Bump) fsm.Bump {
		return fsm.Bump{Scope: fsm.Scope(b.Scope), EntityID: b.Entity, Cascade: b.Cascade, ExpectedVersion: b.Expected, Reason: text}
	}
	c := fsm.Command{IfMatch: r.IfMatch}
	switch {
	case r.Put != nil:
		e := fsm.Entity{
			ID: r.Put.ID, Type: fsm.EntityType(TypeOf(r.Put.ID)), CurrentVersion: r.Put.Version, UpdateStrategy: fsm.Independent,
			ParentVersionID: r.Put.Parent, DisplayName: r.Put.Name,
		}
		if r.Put.Linked {
			e.UpdateStrategy = fsm.LinkedToParent
		}
		c.Op = fsm.Put{Entity: e}
	case r.Delete != "":
		c.Op = fsm.Delete{EntityID: r.Delete}
	case len(r.Bumps) == 1:
		c.Op = bump(r.Bumps[0])
	default:
		var batch fsm.Batch
		for _, b := range r.Bumps {
			batch.Requests = append(batch.Requests, bump(b))
		}
		c.Op = batch
	}
	return c
}
