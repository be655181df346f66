package watchcheck

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// most is how many violations of one stream are reported: after the first few the rest only
// follow.
const most = 20

// Check holds streams against the history and returns what it finds, by stream and step.
func Check(h *History, streams ...*Stream) []*Violation {
	var found []*Violation
	for _, s := range streams {
		found = append(found, check(h, s, false)...)
	}
	return found
}

// CheckComplete is [Check], and each stream's last connection must have told everything up to
// the end of the history.
func CheckComplete(h *History, streams ...*Stream) []*Violation {
	var found []*Violation
	for _, s := range streams {
		found = append(found, check(h, s, true)...)
	}
	return found
}

func check(h *History, s *Stream, complete bool) []*Violation {
	c := &checker{h: h, s: s, admitted: h.admitted(s.Filter)}
	for i := range s.Steps {
		c.at = i
		c.step(&s.Steps[i])
	}
	if complete {
		c.complete()
	}
	c.settle()
	slices.SortStableFunc(c.found, func(a, b *Violation) int { return cmp.Compare(a.Step, b.Step) })
	return c.found[:min(len(c.found), most)]
}

// checker walks over one stream.
type checker struct {
	h        *History
	s        *Stream
	admitted []bool
	at       int
	found    []*Violation

	// The connection:
	open     bool
	over     bool // a gap was told: nothing may follow
	node     string
	now      bool
	floor    uint64
	greeted  bool
	placed   bool   // where the connection begins is known
	since    uint64 // behind which it began
	position uint64 // up to which everything was told, or is missing and noted as that
	latest   uint64 // the highest revision that was told
	marked   uint64 // by the last bookmark
	told     map[uint64]bool
	missing  map[uint64]*Violation // unless it comes late: then it is out of order
}

func (c *checker) violation(p Property, revision uint64, format string, args ...any) *Violation {
	return &Violation{p, c.s.Watcher, c.node, c.at, revision, fmt.Sprintf(format, args...)}
}

func (c *checker) report(p Property, revision uint64, format string, args ...any) {
	c.found = append(c.found, c.violation(p, revision, format, args...))
}

func (c *checker) step(s *Step) {
	if s.Kind == Connect {
		c.settle()
		c.open, c.over, c.greeted, c.placed = true, false, false, !s.Now
		c.node, c.now, c.floor, c.since = s.Node, s.Now, s.Floor, s.Since
		c.position, c.latest, c.marked = s.Since, 0, 0
		c.told, c.missing = make(map[uint64]bool), make(map[uint64]*Violation)
		return
	}
	if !c.open || c.over && s.Kind != Disconnect {
		c.report(Protocol, s.Revision, "something comes where no connection is")
		return
	}
	switch s.Kind {
	case Hello:
		c.hello(s)
	case Told:
		c.event(s.Event)
	case Bookmark:
		c.bookmark(s.Revision)
	case Gap:
		c.gap(s)
		c.over = true
	case Disconnect:
		c.open = false
	}
}

func (c *checker) hello(s *Step) {
	switch {
	case c.greeted || len(c.told) > 0 || c.marked > 0:
		c.report(Protocol, s.Revision, "hello is not the first that is told")
	case s.ClusterID != "" && s.ClusterID != c.h.ClusterID:
		c.report(Protocol, s.Revision, "hello is of cluster %s, not %s", s.ClusterID, c.h.ClusterID)
	case c.now && s.Revision > c.h.last(): // else it waits for what may come, while there is no leader
		c.report(Fresh, s.Revision, "hello is beyond the last revision, %d", c.h.last())
	case !c.now && s.Revision != c.since:
		c.report(Resumable, s.Revision, "the watch wants to go on behind revision %d", c.since)
	case c.now && s.Revision < c.floor:
		c.report(Fresh, s.Revision, "the watch begins with old news: revision %d was acknowledged before", c.floor)
	}
	c.greeted = true
	if c.now {
		c.place(s.Revision)
	}
}

// place notes where a watch "from now on" begins.
func (c *checker) place(revision uint64) {
	c.placed, c.since, c.position = true, revision, revision
}

func (c *checker) event(e *Event) {
	if reason := c.h.differs(e); reason != "" {
		c.report(Atomic, e.Revision, "%s", reason)
		if e.Revision == 0 || e.Revision > c.h.last() {
			return
		}
	}
	if !c.admitted[e.Revision-1] {
		c.report(Filtered, e.Revision, "the filter %+v leaves it out", c.s.Filter)
	}
	if !c.placed { // by a watcher that does not see the hello
		if e.Revision <= c.floor {
			c.report(Fresh, e.Revision, "the watch begins with old news: revision %d was acknowledged before", c.floor)
		}
		c.place(e.Revision - 1)
	}
	late := c.missing[e.Revision]
	switch {
	case c.told[e.Revision]:
		c.report(Unique, e.Revision, "it was told before, and comes again")
	case late != nil:
		delete(c.missing, e.Revision)
		c.report(Ordered, e.Revision, "it comes after revision %d", c.latest)
	case e.Revision <= c.since:
		c.report(Resumable, e.Revision, "the connection is behind revision %d, and tells old news", c.since)
	case e.Revision <= c.marked:
		c.report(Bookmarkable, e.Revision, "it comes after a bookmark of revision %d", c.marked)
	case e.Revision < c.latest:
		c.report(Ordered, e.Revision, "it comes after revision %d", c.latest)
	}
	c.reach(e.Revision-1, Reliable)
	c.position, c.latest = max(c.position, e.Revision), max(c.latest, e.Revision)
	c.told[e.Revision] = true
}

// reach notes what is missing up to a revision.
func (c *checker) reach(revision uint64, p Property) {
	if p == Reliable && len(c.told) == 0 && c.marked == 0 {
		p = Resumable
	}
	for r := c.position + 1; r <= min(revision, c.h.last()); r++ {
		if c.admitted[r-1] && !c.told[r] {
			c.missing[r] = c.violation(p, r, "it is missing before revision %d", revision+1)
		}
	}
	c.position = max(c.position, revision)
}

func (c *checker) bookmark(revision uint64) {
	if !c.placed {
		c.place(revision)
	}
	switch {
	case revision < c.position:
		c.report(Bookmarkable, revision, "the bookmark goes back: everything was told up to %d", c.position)
	case revision > c.h.last():
		c.report(Bookmarkable, revision, "the bookmark is beyond the last revision, %d", c.h.last())
	}
	for r := c.position + 1; r <= min(revision, c.h.last()); r++ {
		if c.admitted[r-1] {
			c.report(Bookmarkable, r, "it was not told before the bookmark of revision %d", revision)
		}
	}
	c.position, c.marked = max(c.position, revision), max(c.marked, revision)
}

func (c *checker) gap(s *Step) {
	oldest := c.h.oldestAt(s.Ceiling)
	switch s.Code {
	case Compacted:
		told := cmp.Or(s.Oldest, oldest)
		if told > oldest {
			c.report(TrueGap, s.Oldest, "it is told as the oldest that is kept when %d was", oldest)
		} else if c.placed && c.position+1 >= told {
			c.report(TrueGap, c.position+1, "it is told as compacted, and the oldest that was kept is %d", told)
		}
	case Ahead:
		if c.position <= c.floor {
			c.report(TrueGap, c.position, "it is told as ahead, and revision %d was acknowledged before", c.floor)
		}
	default:
		c.report(TrueGap, c.position, "%s is told, and the cluster is the same", s.Code)
	}
}

// settle reports what is missing and did not come late, at the end of a connection.
func (c *checker) settle() {
	for _, r := range slices.Sorted(maps.Keys(c.missing)) {
		c.found = append(c.found, c.missing[r])
	}
	c.missing = nil
}

// complete reports what the last connection has not told.
func (c *checker) complete() {
	if !c.placed || c.over {
		c.report(Reliable, c.h.last(), "the watcher ends without a connection that tells of it")
		return
	}
	for r := c.position + 1; r <= c.h.last(); r++ {
		if c.admitted[r-1] {
			c.report(Reliable, r, "it was never told; the last that was is %d", c.latest)
			return
		}
	}
}
