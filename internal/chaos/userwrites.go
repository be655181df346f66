package chaos

import (
	"strings"
	"time"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
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
	countKeyless      = "writes without a key"
)

// sent is a write that can be sent, and sent again.
type sent struct {
	request *bumpcheck.Request
	text    string // that goes with bumps
	keyed   bool
	write   int // its index in the record, once it is there
}

// attempt is what came of sending a write once.
type attempt struct {
	node    string
	outcome bumpcheck.Outcome
	answer  bumpcheck.Answer
	refusal bumpcheck.Refusal
	sign    func() string // asks for the answer's signature, if it does not have it
	err     error         // why it came to nothing that a client knows
}

// write makes up a write and sends it until its outcome is known, if it has a key. Without one
// it is repeated only if it was certainly not applied, and over HTTP not even then: what was told
// of it is what it is held to.
func (u *user) write() {
	w := bumpcheck.Write{Client: u.id, Outcome: bumpcheck.NotApplied}
	s := sent{text: u.choose(&w.Request), keyed: u.keyed}
	u.reach.spelled(&w.Request)
	request := w.Request
	s.request = &request
	w.Call = u.clock.Add(1)
	twin := make(chan attempt, 1)
	twins := u.keyed && u.rng.IntN(48) == 0
	if twins {
		u.counts[countTwins]++
		place, limit := u.reach.place(), u.limit()
		u.group.Go(func() { twin <- u.reach.send(place, &s, limit) })
	}
	tries := 40
	if u.once {
		tries = 1
	}
	for range tries {
		u.settle(&w, u.reach.send(u.reach.place(), &s, u.limit()))
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
		s.write = len(u.record.Writes) - 1
		u.sent = append(u.sent, s)
	}
}

// repeat sends a write again that was answered some time ago.
func (u *user) repeat() {
	old := &u.sent[u.rng.IntN(len(u.sent))]
	u.counts[countRepeats]++
	u.settle(&u.record.Writes[old.write], u.reach.send(u.reach.place(), old, u.limit()))
}

// settle notes what came of an attempt. What is unknown once stays so until an answer comes.
func (u *user) settle(w *bumpcheck.Write, a attempt) {
	u.counts[countAttempts]++
	now := u.clock.Add(1)
	if a.err != nil {
		u.w.Fail("%s: %w is no error that a client knows", w.Request.Name, a.err)
		return
	}
	decided := w.Outcome == bumpcheck.Acknowledged || w.Outcome == bumpcheck.Refused
	switch a.outcome {
	case bumpcheck.Refused:
		if w.Outcome == bumpcheck.Acknowledged {
			u.w.Fail("%s was acknowledged, and then refused at %s: %v", w.Request.Name, a.node, a.refusal)
		}
		if !decided {
			w.Outcome, w.Return, w.Refusal = bumpcheck.Refused, now, a.refusal
		}
	case bumpcheck.Acknowledged:
		if w.Outcome == bumpcheck.Refused {
			u.w.Fail("%s was refused, and then acknowledged at %s", w.Request.Name, a.node)
		}
		if !decided {
			w.Outcome, w.Return = bumpcheck.Acknowledged, now
		}
		if a.sign != nil && u.rng.IntN(8) == 0 {
			a.answer.Signature = a.sign()
		}
		w.Answers = append(w.Answers, a.answer)
	case bumpcheck.Unknown:
		u.counts[countAttemptsLost]++
		if !decided {
			w.Outcome, w.Return = bumpcheck.Unknown, now
		}
	case bumpcheck.NotApplied:
		if w.Outcome == bumpcheck.NotApplied {
			w.Return = now
		}
	}
}

// keep records a write.
func (u *user) keep(w bumpcheck.Write) {
	u.done.Add(1)
	if !u.keyed {
		u.counts[countKeyless]++
	}
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

// choose makes up what a write asks for, and the text that goes with it.
func (u *user) choose(r *bumpcheck.Request) (text string) {
	name := u.name()
	r.Name = name
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
	return u.text()
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
