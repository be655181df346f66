package chaos

import "github.com/tesd/tesd/internal/bumpcheck"

// read reads some entities: linearizable, of a revision at least, or stale.
func (u *user) read() {
	r := bumpcheck.Read{Client: u.id}
	if u.reach.read(&r, u.limit()) {
		u.keepRead(r)
	} else if r.Node != "" {
		u.done.Add(1)
		u.counts[countReadsFailed]++
	}
}

// keepRead records a read.
func (u *user) keepRead(r bumpcheck.Read) {
	u.done.Add(1)
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
