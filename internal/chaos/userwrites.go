package chaos

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tesd/tesd/cluster"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
	"github.com/tesd/tesd/internal/clustertest"
	"github.com/tesd/tesd/internal/watchcheck"
)

// Counts of what users did.
const (
	countReads        = "reads"
	countReadsStale   = "reads, stale"
	countReadsFailed  = "reads not served"
	countAcknowledged = "writes acknowledged"
	countRefused      = "writes refused"
	countNotApplied   = "writes not applied"
	countUnknown      = "writes of unknown outcome"
	countRepeats      = "answered writes repeated"
	countTwins        = "writes sent to two nodes at once"
	countAttempts     = "attempts to write"
	countAttemptsLost = "attempts of unknown outcome"
)

// attempt is what came of sending a write once.
type attempt struct {
	node   string
	result fsm.Result
	err    error
}

// write makes up a write and sends it until its outcome is known, if it has a key. Without one
// it is repeated only if it was certainly not applied.
func (u *user) write() {
	name := u.name()
	command, request := u.choose(name)
	command.Registry, command.Actor = clustertest.Registry, name
	if u.keyed {
		command.Key = name
	}
	w := bumpcheck.Write{Client: u.id, Request: request, Outcome: bumpcheck.NotApplied, Call: u.clock.Add(1)}
	twin := make(chan attempt, 1)
	twins := u.keyed && u.rng.IntN(48) == 0
	if twins {
		u.counts[countTwins]++
		n, limit := u.pick(), u.limit()
		u.group.Go(func() { twin <- u.send(n, command, limit) })
	}
	for range 40 {
		u.settle(&w, u.send(u.pick(), command, u.limit()))
		if w.Outcome == bumpcheck.Acknowledged || w.Outcome == bumpcheck.Refused || w.Outcome == bumpcheck.Unknown && !u.keyed || u.stopped() {
			break
		}
		<-time.After(upTo(u.rng, u.unit/4))
	}
	if twins {
		u.settle(&w, <-twin)
	}
	u.keep(w)
	if w.Outcome == bumpcheck.Acknowledged && u.keyed {
		u.sent = append(u.sent, sent{command, len(u.record.Writes) - 1})
	}
}

// sent is a write that can be sent again. write is its index in the record.
type sent struct {
	command fsm.Command
	write   int
}

// repeat sends a write again that was answered some time ago.
func (u *user) repeat() {
	old := u.sent[u.rng.IntN(len(u.sent))]
	u.counts[countRepeats]++
	u.settle(&u.record.Writes[old.write], u.send(u.pick(), old.command, u.limit()))
}

// send sends a write once.
func (u *user) send(n *clustertest.Node, c fsm.Command, limit time.Duration) attempt {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	node := u.v.node(n)
	if node == nil {
		return attempt{n.ID, fsm.Result{}, cluster.ErrNotReady}
	}
	result, err := node.Propose(ctx, c)
	return attempt{n.ID, result, err}
}

// settle notes what came of an attempt. What is unknown once stays so until an answer comes.
func (u *user) settle(w *bumpcheck.Write, a attempt) {
	u.counts[countAttempts]++
	now := u.clock.Add(1)
	switch decided := w.Outcome == bumpcheck.Acknowledged || w.Outcome == bumpcheck.Refused; {
	case a.err == nil && a.result.Refusal != nil:
		if w.Outcome == bumpcheck.Acknowledged {
			u.w.Fail("%s was acknowledged, and then refused at %s: %v", w.Request.Name, a.node, a.result.Refusal)
		}
		if !decided {
			w.Outcome, w.Return = bumpcheck.Refused, now
			w.Refusal = bumpcheck.Refusal{
				Code: string(a.result.Refusal.Code), Entity: a.result.Refusal.EntityID, Actual: a.result.Refusal.Actual,
			}
		}
	case a.err == nil:
		if w.Outcome == bumpcheck.Refused {
			u.w.Fail("%s was refused, and then acknowledged at %s", w.Request.Name, a.node)
		}
		if !decided {
			w.Outcome, w.Return = bumpcheck.Acknowledged, now
		}
		w.Answers = append(w.Answers, u.answer(a))
	case errors.Is(a.err, cluster.ErrUnknownOutcome):
		u.counts[countAttemptsLost]++
		if !decided {
			w.Outcome, w.Return = bumpcheck.Unknown, now
		}
	case errors.Is(a.err, cluster.ErrNoLeader), errors.Is(a.err, cluster.ErrNotReady), errors.Is(a.err, cluster.ErrShuttingDown),
		errors.Is(a.err, cluster.ErrBusy), errors.Is(a.err, cluster.ErrStorageFull):
		if w.Outcome == bumpcheck.NotApplied {
			w.Return = now
		}
	default:
		u.w.Fail("%s: %v is no error that a client knows", w.Request.Name, a.err)
	}
}

// answer is what a user was told of a write.
func (u *user) answer(a attempt) bumpcheck.Answer {
	answer := bumpcheck.Answer{Node: a.node, Revision: a.result.Revision}
	t := a.result.Transaction
	if t == nil {
		return answer
	}
	answer.TransactionID, answer.Changes = t.ID, changesOf(t.Changes)
	if u.rng.IntN(8) == 0 {
		if signature, err := u.v.node(u.v.byID(a.node)).Sign(t.Payload()); err == nil { // else it is no more
			answer.Signature = signature
		}
	}
	return answer
}

func changesOf(changes []fsm.Change) []watchcheck.Change {
	all := make([]watchcheck.Change, len(changes))
	for i, c := range changes {
		all[i] = watchcheck.Change{EntityID: c.EntityID, OldVersion: c.OldVersion, NewVersion: c.NewVersion, DisplayName: c.DisplayName}
	}
	return all
}

// keep records a write.
func (u *user) keep(w bumpcheck.Write) {
	switch w.Outcome {
	case bumpcheck.Acknowledged:
		u.acked.Add(1)
		u.counts[countAcknowledged]++
		u.revision = max(u.revision, w.Answers[0].Revision)
		u.w.learn(w.Answers[0].Revision)
		for _, c := range w.Answers[0].Changes {
			u.versions[c.EntityID] = c.NewVersion
		}
		if p := w.Request.Put; p != nil && p.Version != "" {
			u.made = append(u.made, p.ID)
		}
	case bumpcheck.Refused:
		u.counts[countRefused]++
		if w.Refusal.Code == string(fsm.CodeVersionConflict) {
			u.versions[w.Refusal.Entity] = w.Refusal.Actual
		}
	case bumpcheck.NotApplied:
		u.counts[countNotApplied]++
	case bumpcheck.Unknown:
		u.counts[countUnknown]++
	}
	u.record.Writes = append(u.record.Writes, w)
}

// choose makes up what a write asks for.
func (u *user) choose(name string) (fsm.Command, bumpcheck.Request) {
	r := bumpcheck.Request{Name: name}
	switch chance := u.rng.IntN(40); {
	case chance < 4:
		for range 2 + u.rng.IntN(3) {
			r.Bumps = append(r.Bumps, u.bump(false))
		}
	case chance < 6:
		r.Put = &bumpcheck.Entity{ID: "documentation:" + strings.ReplaceAll(name, "/", "-"), Version: "1.0.0", Name: name, Parent: "component:a"}
	case chance < 8:
		for _, e := range seeded4() {
			if e.ID == "component:b" { // the version stays
				e.Version, e.Name = "", name
				r.Put = &e
			}
		}
	case chance < 10 && len(u.made) > 0:
		r.Delete, u.made = u.made[0], u.made[1:]
	default:
		r.Bumps = []bumpcheck.Bump{u.bump(true)}
	}
	if u.revision > 0 && u.rng.IntN(10) == 0 {
		revision := max(u.revision, u.w.Known()) // mostly old, sometimes not
		r.IfMatch = &revision
	}
	return commandOf(&r, u.text()), r
}

// seeded4 are the entities that everyone wants.
func seeded4() []bumpcheck.Entity { return seeded()[:4] }

// bump makes up a bump.
func (u *user) bump(alone bool) bumpcheck.Bump {
	b := bumpcheck.Bump{Scope: uint8(fsm.Patch), Entity: u.entity(), Cascade: u.rng.IntN(4) == 0}
	if chance := u.rng.IntN(20); chance < 3 {
		b.Scope = uint8(fsm.Minor) - uint8(chance/2)
	}
	if alone && u.rng.IntN(8) == 0 {
		b.Expected = u.versions[b.Entity]
	}
	return b
}

// text is what goes with a bump: some fill the log much faster than the state, so that
// snapshots are taken.
func (u *user) text() string {
	if u.rng.IntN(8) == 0 || u.w.fill.Load() {
		return strings.Repeat("x", 1000)
	}
	return ""
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
