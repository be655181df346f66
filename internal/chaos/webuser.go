package chaos

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/watchcheck"
)

// webUser is a user who reads and writes over HTTP, by the client library, which finds a node by
// itself and repeats what it may.
type webUser struct {
	*user
	c       *client.Client
	release func()
}

func newWebUser(w *World, u *user) (*webUser, error) {
	u.keyed = true // the library repeats what it does not know the outcome of
	c, release, err := w.Client("web-"+strconv.Itoa(u.id), u.rng, true)
	return &webUser{u, c, release}, err
}

// act reads or writes once.
func (u *webUser) act() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*u.limit())
	defer cancel()
	if u.rng.IntN(2) == 0 {
		u.look(ctx)
		return
	}
	w := bumpcheck.Write{Client: u.id, Request: bumpcheck.Request{Name: u.name()}, Call: u.clock.Add(1)}
	lost := u.counts[countAttemptsLost]
	for range 20 {
		answer, err := u.ask(ctx, &w.Request)
		w.Return = u.clock.Add(1)
		w.Outcome = outcomeOf(err)
		if w.Outcome == bumpcheck.NotApplied && u.counts[countAttemptsLost] > lost { // this time, but maybe before
			w.Outcome = bumpcheck.Unknown
		}
		u.counts[countAttempts]++
		switch w.Outcome {
		case bumpcheck.Acknowledged:
			w.Answers = append(w.Answers, answer)
		case bumpcheck.Unknown:
			u.counts[countAttemptsLost]++
			if u.keyed && !u.stopped() {
				ctx, cancel = context.WithTimeout(context.Background(), 4*u.limit())
				defer cancel()
				<-time.After(upTo(u.rng, u.unit))
				continue
			}
		case bumpcheck.Refused:
			u.w.Fail("%s was refused over HTTP: %w", w.Request.Name, err)
		}
		break
	}
	u.keep(w)
}

// outcomeOf is what a user knows of a write that ended with an error, or without.
func outcomeOf(err error) bumpcheck.Outcome {
	e, ok := errors.AsType[*client.Error](err)
	switch {
	case err == nil:
		return bumpcheck.Acknowledged
	case ok && e.Outcome == client.OutcomeNotApplied:
		return bumpcheck.NotApplied
	case ok && e.Outcome == client.OutcomeRejected:
		return bumpcheck.Refused
	}
	return bumpcheck.Unknown
}

// ask bumps once, an entity or a batch. A repeat asks for the same.
func (u *webUser) ask(ctx context.Context, r *bumpcheck.Request) (bumpcheck.Answer, error) {
	if r.Bumps == nil {
		r.Bumps = []bumpcheck.Bump{u.bump(false)}
		if u.rng.IntN(6) == 0 {
			r.Bumps = append(r.Bumps, u.bump(false))
		}
	}
	key := client.IdempotencyKey(r.Name)
	if len(r.Bumps) == 1 {
		a, err := u.c.Bump(ctx, webBump(r, 0), key)
		if err != nil {
			return bumpcheck.Answer{}, err
		}
		return webAnswer(a.Revision, a.TransactionID, a.Changes, a.Signature), nil
	}
	var batch client.BatchRequest
	for i := range r.Bumps {
		batch.Requests = append(batch.Requests, webBump(r, i))
	}
	a, err := u.c.Batch(ctx, batch, key)
	if err != nil {
		return bumpcheck.Answer{}, err
	}
	var changes []client.Change
	for _, result := range a.Results {
		changes = append(changes, result.Changes...)
	}
	return webAnswer(a.Revision, a.TransactionID, changes, a.Signature), nil
}

func webBump(r *bumpcheck.Request, i int) client.BumpRequest {
	b := r.Bumps[i]
	scope := [...]client.Scope{"", client.Major, client.Minor, client.Patch}[b.Scope]
	return client.BumpRequest{Scope: scope, EntityID: b.Entity, Cascade: &b.Cascade, Reason: r.Name}
}

func webAnswer(revision uint64, id string, changes []client.Change, signature string) bumpcheck.Answer {
	e := EventOf(&client.Event{Changes: changes})
	return bumpcheck.Answer{Node: "any", Revision: revision, TransactionID: id, Changes: append([]watchcheck.Change{}, e.Changes...), Signature: signature}
}

// look reads an entity.
func (u *webUser) look(ctx context.Context) {
	r := bumpcheck.Read{Client: u.id, Node: "any"}
	var options []client.ReadOption
	switch u.rng.IntN(5) {
	case 0:
		r.Stale = true
		options = append(options, client.Stale())
	case 1:
		r.Stale, r.AtLeast = true, max(u.w.Known(), 1)
		options = append(options, client.MinRevision(r.AtLeast))
	}
	id := hot(u.rng)
	r.Call = u.clock.Add(1)
	e, err := u.c.Entity(ctx, id, options...)
	r.Return = u.clock.Add(1)
	if err != nil {
		u.counts[countReadsFailed]++
		return
	}
	r.Revision = e.Revision
	r.Saw = []bumpcheck.Seen{{Entity: id, Version: e.Entity.CurrentVersion, Name: e.Entity.DisplayName}}
	u.keepRead(r)
}
