package bumpcheck

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/tesd/tesd/internal/watchcheck"
)

// checker holds one record against one history.
type checker struct {
	h        *History
	r        *Record
	revision map[string]uint64 // of the requests that are in the history, by name
	versions map[string][]at   // of each entity, oldest first
	known    []uint64          // at each time the highest revision that a client had been told of
	found    []*Violation
}

// at is what an entity became at a revision.
type at struct {
	revision uint64
	Seen
}

// Check returns where the record or the history breaks a property. The history's chain is
// checked by its own Check.
func Check(h *History, r *Record) []*Violation {
	c := &checker{h: h, r: r, revision: make(map[string]uint64), versions: make(map[string][]at)}
	c.sequence()
	for i := range r.Writes {
		c.write(&r.Writes[i])
	}
	c.learn()
	c.order()
	for i := range r.Reads {
		c.read(&r.Reads[i])
	}
	if len(c.found) == 0 { // what is wrong by then is not linearizable either, and takes long to prove so
		c.registers()
	}
	return c.found[:min(len(c.found), most)]
}

func (c *checker) report(p Property, who, node string, revision uint64, format string, args ...any) {
	if len(c.found) < most {
		c.found = append(c.found, &Violation{p, who, node, revision, fmt.Sprintf(format, args...)})
	}
}

// sequence walks the history with the model beside it.
func (c *checker) sequence() {
	requests := make(map[string]*Request, len(c.r.Writes))
	for i := range c.r.Writes {
		requests[c.r.Writes[i].Request.Name] = &c.r.Writes[i].Request
	}
	m := newModel(c.h.Seed)
	for i := range c.h.Transactions {
		t := &c.h.Transactions[i]
		for _, change := range t.Changes {
			c.versions[change.EntityID] = append(c.versions[change.EntityID],
				at{t.Revision, Seen{change.EntityID, change.NewVersion, change.DisplayName}})
		}
		if i == 0 { // the seed
			continue
		}
		name := c.h.Names[i]
		if twice, ok := c.revision[name]; ok {
			c.report(Once, name, "", t.Revision, "it was carried out at revision %d before", twice)
		}
		c.revision[name] = t.Revision
		request := requests[name]
		if request == nil {
			c.report(Sequential, name, "", t.Revision, "nobody asked for it")
			return // the model has lost track
		}
		if request.IfMatch != nil && *request.IfMatch+1 != t.Revision {
			c.report(Conditional, name, "", t.Revision, "it was carried out, and asked for revision %d before it", *request.IfMatch)
		}
		want, err := m.apply(request)
		if err != nil {
			c.report(Conditional, name, "", t.Revision, "it was carried out, but %v", err)
			return
		}
		if !slices.Equal(want, t.Changes) {
			c.report(Sequential, name, "", t.Revision, "it comes to the changes %v, and the history has %v", want, t.Changes)
			return
		}
	}
}

// write holds a write against the history.
func (c *checker) write(w *Write) {
	revision, applied := c.revision[w.Request.Name]
	switch w.Outcome {
	case Acknowledged:
		for i := range w.Answers {
			c.answer(w, &w.Answers[i])
		}
	case Refused, NotApplied:
		if applied {
			c.report(Unapplied, w.Request.Name, "", revision, "it was carried out, and its client was told that it was not")
		}
		c.refusal(w)
	}
}

// answer holds an acknowledgement against the history, and against the first one.
func (c *checker) answer(w *Write, a *Answer) {
	name, first := w.Request.Name, &w.Answers[0]
	if a.Revision != first.Revision || a.TransactionID != first.TransactionID || !slices.Equal(a.Changes, first.Changes) {
		c.report(Once, name, a.Node, a.Revision, "the answer to a repeat is not the first one, of revision %d: %v, %v", first.Revision, a.Changes, first.Changes)
	}
	if a.TransactionID == "" { // nothing had to be changed
		return
	}
	if a.Revision == 0 || a.Revision > uint64(len(c.h.Transactions)) {
		c.report(Kept, name, a.Node, a.Revision, "it was acknowledged, and there is no such revision")
		return
	}
	t := &c.h.Transactions[a.Revision-1]
	switch {
	case c.h.Names[a.Revision-1] != name:
		c.report(Kept, name, a.Node, a.Revision, "it was acknowledged, and there is %s", c.h.Names[a.Revision-1])
	case t.TransactionID != a.TransactionID || !slices.Equal(t.Changes, a.Changes):
		c.report(Kept, name, a.Node, a.Revision, "it was acknowledged as %s with %v, and is %s with %v", a.TransactionID, a.Changes, t.TransactionID, t.Changes)
	case a.Signature != "" && c.h.Sign != nil && a.Signature != c.h.Sign(t.Payload):
		c.report(Signed, name, a.Node, a.Revision, "the signature is not that of the receipt")
	}
}

// Codes of refusals for a precondition.
const (
	revisionMismatch = "REVISION_MISMATCH"
	versionConflict  = "VERSION_CONFLICT"
)

// refusal holds a refusal against what was asked for.
func (c *checker) refusal(w *Write) {
	switch w.Refusal.Code {
	case revisionMismatch:
		if w.Request.IfMatch == nil || strconv.FormatUint(*w.Request.IfMatch, 10) == w.Refusal.Actual {
			c.report(Conditional, w.Request.Name, "", 0, "it was refused for being at revision %s", w.Refusal.Actual)
		}
	case versionConflict:
		if slices.ContainsFunc(w.Request.Bumps, func(b Bump) bool { return b.Expected == w.Refusal.Actual }) && len(w.Request.Bumps) == 1 {
			c.report(Conditional, w.Request.Name, "", 0, "it was refused for being at version %s", w.Refusal.Actual)
		}
	}
}

// told returns the revision that a client was told with a write, 0 for none.
func (w *Write) told() uint64 {
	switch {
	case w.Outcome == Acknowledged:
		return w.Answers[0].Revision
	case w.Outcome == Refused && w.Refusal.Code == revisionMismatch:
		actual, _ := strconv.ParseUint(w.Refusal.Actual, 10, 64)
		return actual
	}
	return 0
}

// learn finds out which revision clients knew of at each time.
func (c *checker) learn() {
	c.known = make([]uint64, c.r.Clock+1)
	for i := range c.r.Writes {
		if w := &c.r.Writes[i]; w.Outcome != Unknown {
			c.known[w.Return] = max(c.known[w.Return], w.told())
		}
	}
	for i := range c.r.Reads {
		r := &c.r.Reads[i]
		c.known[r.Return] = max(c.known[r.Return], r.Revision) // stale ones, too: they are committed
	}
	for i := range c.known[1:] {
		c.known[i+1] = max(c.known[i], c.known[i+1])
	}
}

// order holds the revisions of writes and reads against the order in time.
func (c *checker) order() {
	for i := range c.r.Writes {
		w := &c.r.Writes[i]
		floor := c.known[w.Call]
		if revision := c.revision[w.Request.Name]; revision > 0 && revision <= floor {
			c.report(Ordered, w.Request.Name, "", revision, "it was carried out there, and revision %d was known before it was called", floor)
		}
		if told := w.told(); told > 0 && told < floor {
			c.report(Ordered, w.Request.Name, "", told, "it was told of that revision, and %d was known before it was called", floor)
		}
	}
	for i := range c.r.Reads {
		r := &c.r.Reads[i]
		if floor := c.known[r.Call]; !r.Stale && r.Revision < floor {
			c.report(Ordered, reader(r), r.Node, r.Revision, "it read that revision, and %d was known before", floor)
		}
	}
}

func reader(r *Read) string { return "reader " + strconv.Itoa(r.Client) }

// read holds what a read showed against the history at its revision.
func (c *checker) read(r *Read) {
	if r.Revision < r.AtLeast {
		c.report(Served, reader(r), r.Node, r.Revision, "it asked for revision %d at least", r.AtLeast)
	}
	if r.Revision > uint64(len(c.h.Transactions)) {
		c.report(Served, reader(r), r.Node, r.Revision, "there is no such revision")
		return
	}
	for _, saw := range r.Saw {
		if was := c.at(saw.Entity, r.Revision); was != saw {
			c.report(Served, reader(r), r.Node, r.Revision, "it showed %v, which was %v", saw, was)
		}
	}
}

// at returns an entity as it was at a revision.
func (c *checker) at(entity string, revision uint64) Seen {
	if was := c.since(entity, revision); was.Version != "" {
		return was.Seen
	}
	return Seen{Entity: entity}
}

// since returns what an entity had become by a revision, and at which; zero if it had not been there.
func (c *checker) since(entity string, revision uint64) at {
	all := c.versions[entity]
	i, found := slices.BinarySearchFunc(all, revision, func(v at, r uint64) int { return cmp.Compare(v.revision, r) })
	for found && i+1 < len(all) && all[i+1].revision == revision { // a batch may move it more than once
		i++
	}
	if !found {
		i--
	}
	if i < 0 {
		return at{}
	}
	return all[i]
}

// changesOf returns what a write did, by the history.
func (c *checker) changesOf(w *Write) []watchcheck.Change {
	if revision := c.revision[w.Request.Name]; revision > 0 {
		return c.h.Transactions[revision-1].Changes
	}
	return nil
}
