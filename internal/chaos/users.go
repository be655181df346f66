package chaos

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/bumpcheck"
)

// crowd is everyone who reads and writes in a run with bumps.
type crowd struct {
	v      *virtual // nil if all are over HTTP
	w      *World
	unit   time.Duration // how long a follower waits for a leader: what is long, and what is short
	think  time.Duration // up to so long between two requests of a user
	brisk  int64         // requests of all, after which users take their time; 0 for never
	keyed  bool          // three users in four have idempotency keys; else none has
	seldom int           // one in so many writes repeats one that was answered before
	reads  int           // one in so many requests is a write

	clock  atomic.Int64 // counts the calls and returns of all users
	acked  atomic.Int64
	done   atomic.Int64 // reads and writes
	hashes hashes
	stop   chan struct{}
	once   sync.Once
	group  sync.WaitGroup
	users  []*user
}

// user asks for one thing after the other. Only its own goroutine uses it until the crowd has
// stopped.
type user struct {
	*crowd
	id       int
	rng      *rand.Rand
	keyed    bool // repeats what it does not know the outcome of
	once     bool // repeats nothing
	reach    reach
	writes   int
	record   bumpcheck.Record
	sent     []sent // writes with keys that were acknowledged
	counts   map[string]int
	made     []string          // entities that it made, and nobody deletes but itself
	versions map[string]string // of entities, as it saw them last
	revision uint64            // the highest that it knows of
}

// A reach is how a user reaches the cluster. Only its user uses it, but for what is said of send.
type reach interface {
	// place returns where to send the next request: the name of a node, or of no certain one.
	place() string

	// send sends a write once, to a place. It may be called beside anything else.
	send(place string, s *sent, limit time.Duration) attempt

	// read reads once, as the read asks for, and fills in where and what it saw. It is not ok if it was not served.
	read(r *bumpcheck.Read, limit time.Duration) (ok bool)

	// spelled gives a request the name that the history will have.
	spelled(r *bumpcheck.Request)

	// release lets go of what the reach holds.
	release()
}

// hashes holds the state hash at each index that anyone has seen.
type hashes struct {
	mu   sync.Mutex
	seen map[uint64]fsm.Hash
}

// check holds the state of a node against that of others at the same index.
func (h *hashes) check(v fsm.View) (same bool) {
	index, hash := v.Index(), v.StateHash()
	h.mu.Lock()
	defer h.mu.Unlock()
	old, ok := h.seen[index]
	if h.seen == nil {
		h.seen = make(map[uint64]fsm.Hash)
	}
	h.seen[index] = hash
	return !ok || old == hash
}

// gather has so many users at work, insiders who speak to nodes in their own process, and others
// over HTTP.
func (c *crowd) gather(seed uint64, insiders, web int) error {
	c.stop = make(chan struct{})
	for i := range insiders + web {
		u := &user{
			crowd: c, id: i, rng: rand.New(rand.NewPCG(seed, uint64(1000+i))), keyed: c.keyed && i%4 > 0,
			counts: make(map[string]int), versions: make(map[string]string),
		}
		u.reach = direct{u}
		if i >= insiders {
			var err error
			if u.reach, err = newWeb(u); err != nil {
				return err
			}
		}
		c.users = append(c.users, u)
		c.group.Go(u.run)
	}
	return nil
}

// disperse stops the users, also those of a test that failed.
func (c *crowd) disperse() {
	c.once.Do(func() { close(c.stop) })
	c.group.Wait()
}

// end stops the users once what they have under way is answered, and returns all that they did.
func (c *crowd) end() *bumpcheck.Record {
	c.disperse()
	all := &bumpcheck.Record{Clock: c.clock.Load() + 1}
	for _, u := range c.users {
		all.Writes = append(all.Writes, u.record.Writes...)
		all.Reads = append(all.Reads, u.record.Reads...)
		for name, n := range u.counts { // any order
			c.w.Count(name, n)
		}
	}
	return all
}

func (u *user) run() {
	defer u.reach.release()
	for {
		select {
		case <-u.stop:
			return
		case <-time.After(upTo(u.rng, u.pace())):
		}
		switch {
		case u.rng.IntN(u.reads) > 0 && !u.w.fill.Load():
			u.read()
		case len(u.sent) > 0 && u.rng.IntN(u.seldom) == 0:
			u.repeat()
		default:
			u.write()
		}
	}
}

// pace returns up to how long the user waits before its next request. All that users do is kept in
// memory until it is checked, and where time is virtual it costs nothing to wait a minute for what
// does not come.
func (u *user) pace() time.Duration {
	if u.brisk > 0 && u.done.Load() > u.brisk {
		return 50 * u.think
	}
	return u.think
}

func (u *user) stopped() bool {
	select {
	case <-u.stop:
		return true
	default:
		return false
	}
}

// limit is how long a request may take. Some users have no patience.
func (u *user) limit() time.Duration {
	if u.rng.IntN(16) == 0 {
		return 2*time.Millisecond + upTo(u.rng, u.unit)
	}
	return 10*u.unit + upTo(u.rng, 20*u.unit)
}

// entity returns an entity to read or write: in half of all cases one of the few that everyone
// wants.
func (u *user) entity() string {
	if u.rng.IntN(2) == 0 {
		return hot(u.rng)
	}
	if i := u.rng.IntN(cold + 2); i < cold {
		return "documentation:" + strconv.Itoa(i/10) + strconv.Itoa(i%10)
	}
	if len(u.made) > 0 {
		return u.made[u.rng.IntN(len(u.made))]
	}
	return hot(u.rng)
}

func hot(rng *rand.Rand) string {
	return [...]string{"global:main", "component:a", "component:b", "api:a"}[rng.IntN(4)]
}

// name makes up the name of the next write.
func (u *user) name() string {
	u.writes++
	return "user-" + strconv.Itoa(u.id) + "/" + strconv.Itoa(u.writes)
}
