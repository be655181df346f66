package httpapi

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/fsm"
)

// encodings keeps the entities of registries, encoded, so that they are encoded once a revision
// and not for everyone who asks: a registry is read more often than it changes. What nobody asks
// for leaves memory. No answer depends on what is kept: what a registry is at a revision never
// changes.
type encodings struct {
	ttl   time.Duration
	began time.Time

	mu         sync.RWMutex
	byRegistry map[string]*encoding
	sweeper    *time.Timer // set while something is kept
	closed     bool
}

// encoding is a registry at a revision.
type encoding struct {
	revision uint64
	entities []byte                // a JSON array in canonical form
	whole    atomic.Pointer[whole] // the answer with all of them, with the lifecycle that was last
	used     atomic.Int64          // when it was last, in nanoseconds since the encodings began
}

// whole is the answer to a read of a whole registry.
type whole struct {
	lifecycle string
	body      []byte
}

func newEncodings(ttl time.Duration) *encodings {
	return &encodings{ttl: ttl, began: time.Now(), byRegistry: make(map[string]*encoding)}
}

// entities returns all entities of a registry as a JSON array, which is not to be changed.
func (x *encodings) entities(r fsm.Registry) []byte { return x.of(r).entities }

// registry returns the answer to a read of a whole registry, which is not to be changed.
func (x *encodings) registry(r fsm.Registry, lifecycle string) []byte {
	e := x.of(r)
	w := e.whole.Load()
	if w == nil || w.lifecycle != lifecycle {
		w = &whole{lifecycle, encodeRegistry(r, lifecycle, e.entities, "")}
		e.whole.Store(w)
	}
	return w.body
}

func (x *encodings) of(r fsm.Registry) *encoding {
	x.mu.RLock()
	e := x.byRegistry[r.ID()]
	x.mu.RUnlock()
	if e == nil || e.revision != r.Revision() {
		all, _ := (&filter{}).entities(r)
		e = &encoding{revision: r.Revision(), entities: all}
		x.keep(r.ID(), e)
	}
	e.used.Store(int64(time.Since(x.began)))
	return e
}

// keep keeps an encoding unless there is one of a later revision: readers may have older states.
func (x *encodings) keep(registry string, e *encoding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if old := x.byRegistry[registry]; x.closed || old != nil && old.revision > e.revision {
		return
	}
	x.byRegistry[registry] = e
	if x.sweeper == nil {
		x.sweeper = time.AfterFunc(x.ttl, x.sweep)
	}
}

// sweep lets go of what was not used for so long, and comes back while something is left.
func (x *encodings) sweep() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sweeper = nil
	if x.closed {
		return
	}
	next := x.ttl
	for registry, e := range x.byRegistry {
		if left := x.ttl - time.Since(x.began) + time.Duration(e.used.Load()); left > 0 {
			next = min(next, left)
		} else {
			delete(x.byRegistry, registry)
		}
	}
	if len(x.byRegistry) > 0 {
		x.sweeper = time.AfterFunc(next, x.sweep)
	}
}

// close lets go of everything, for good.
func (x *encodings) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	if x.sweeper != nil {
		x.sweeper.Stop()
	}
	clear(x.byRegistry)
}
