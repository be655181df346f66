package fsm

import (
	"crypto/sha256"
	"sort"
)

const (
	// KeyTTL is how long, in milliseconds of the age clock, an idempotency key is
	// remembered at least: 24 hours.
	KeyTTL = 24 * 60 * 60 * 1000

	// MaxKeys is how many idempotency keys the table holds. While all of them are
	// younger than KeyTTL, commands with new keys are refused.
	MaxKeys = 10_000_000

	// expirePerEntry bounds the keys that one log entry may forget, so that a burst
	// of keys that grow old together does not stall the node.
	expirePerEntry = 1024

	keysPerRun = 4096
)

// keyName identifies an idempotency key: the first half of its SHA-256.
type keyName [16]byte

func nameOfKey(key string) (n keyName) {
	h := sha256.Sum256([]byte(key))
	copy(n[:], h[:])
	return n
}

// keyEntry is what a key remembers: which request it was used for and how that
// ended. An answer is never kept: it is built again from the history.
type keyEntry struct {
	keyRecord
	other *noTransaction // nil if it ended with a transaction
}

// keyRecord is the part of an entry that every key has. It holds no pointers, so that ten
// million of them are nothing to the collector.
type keyRecord struct {
	name     keyName
	request  [16]byte // the command's requestHash
	born     int64    // on the age clock
	revision uint64   // of the transaction, or of the registry when there was none
	registry uint32   // ordinal of the registry; noRegistry for one that does not exist
	without  bool     // it made no transaction; how it ended is among the log's others
}

const noRegistry = ^uint32(0)

// noTransaction is how a command ended that made no transaction.
type noTransaction struct {
	refusal *Refusal // nil if it succeeded, and changed nothing
	version string   // of the entity that a put found as it should be
}

func noTransactionOf(c *Command, result *Result) *noTransaction {
	switch {
	case result.Transaction != nil:
		return nil
	case result.Refusal == nil && len(result.Entities) == 1:
		return &noTransaction{version: result.Entities[0].CurrentVersion}
	case result.Refusal == nil:
		return &noTransaction{}
	}
	return &noTransaction{refusal: result.Refusal.slim(c)}
}

// refused reports whether the command ended with a refusal; o may be nil.
func (o *noTransaction) refused() bool { return o != nil && o.refusal != nil }

// encode writes what decodeNoTransaction reads, or with words false what counts of it; o
// may be nil.
func (o *noTransaction) encode(e *encoder, words bool) {
	e.bool(o != nil)
	if o == nil {
		return
	}
	e.bool(o.refusal != nil)
	if o.refusal != nil {
		o.refusal.encode(e, words)
	} else {
		e.string(o.version)
	}
}

func decodeNoTransaction(d *decoder) *noTransaction {
	switch {
	case !d.bool():
		return nil
	case d.bool():
		return &noTransaction{refusal: decodeRefusal(d)}
	}
	return &noTransaction{version: d.string()}
}

// hash is the entry's part of the state hash.
func (k *keyEntry) hash() Hash {
	e := encoder{}
	k.other.encode(&e, false)
	return newDigest("tesd key").bytes(k.name[:]).bytes(k.request[:]).uint(uint64(k.born)).
		uint(uint64(k.registry)).uint(k.revision).bytes(e.buf).sum()
}

// keyLog is the table's content in the order of arrival, which is the order of age.
// Like the history it is append-only at the end and dropped from at the front, so
// copies share its memory. Entries are numbered from 0 for the life of the cluster.
type keyLog struct {
	full   [][]keyRecord // runs of keysPerRun records
	tail   []keyRecord
	others []numberedOther // of the few that made no transaction, in order
	head   uint64          // number of the oldest entry that counts
	base   uint64          // number of the first entry that full or tail holds
}

type numberedOther struct {
	number uint64
	other  *noTransaction
}

func (l *keyLog) end() uint64 { return l.base + uint64(len(l.full)*keysPerRun+len(l.tail)) }

func (l *keyLog) len() uint64 { return l.end() - l.head }

// record returns that of entry n, which is not to be changed.
func (l *keyLog) record(n uint64) *keyRecord {
	i := int(n - l.base)
	if run := i / keysPerRun; run < len(l.full) {
		return &l.full[run][i%keysPerRun]
	}
	return &l.tail[i-len(l.full)*keysPerRun]
}

func (l *keyLog) at(n uint64) keyEntry {
	k := keyEntry{keyRecord: *l.record(n)}
	if k.without {
		i := sort.Search(len(l.others), func(i int) bool { return l.others[i].number >= n })
		k.other = l.others[i].other
	}
	return k
}

func (l *keyLog) append(k keyEntry) {
	if k.without = k.other != nil; k.without {
		l.others = append(l.others, numberedOther{l.end(), k.other})
	}
	if len(l.tail) == keysPerRun {
		l.full = append(l.full, l.tail)
		l.tail = nil
	}
	if len(l.tail) == cap(l.tail) { // doubled by hand, so that a full run has no room left over
		l.tail = append(make([]keyRecord, 0, min(max(16, 2*len(l.tail)), keysPerRun)), l.tail...)
	}
	l.tail = append(l.tail, k.keyRecord)
}

// pop forgets the oldest entry.
func (l *keyLog) pop() {
	if l.record(l.head).without {
		l.others = l.others[1:]
	}
	l.head++
	for l.head-l.base >= keysPerRun && len(l.full) > 0 {
		l.full = l.full[1:]
		l.base += keysPerRun
	}
}

// findKey returns the entry of a key.
func (m *Machine) findKey(name keyName) (k keyEntry, ok bool) {
	n, ok := m.keyIndex.find(&m.keys, &name)
	if ok {
		k = m.keys.at(n)
	}
	return k, ok
}

// addKey makes an entry, whose name is new, part of the state.
func (m *Machine) addKey(k keyEntry) {
	n := m.keys.end()
	m.keys.append(k)
	m.keyIndex.add(&m.keys, n)
	m.sum.add(k.hash())
}

// keepKey remembers the answer to a command with an idempotency key.
func (m *Machine) keepKey(name keyName, request [16]byte, c *Command, result *Result) {
	k := keyEntry{keyRecord{name: name, request: request, born: m.age, registry: noRegistry,
		revision: result.Revision}, noTransactionOf(c, result)}
	if r, ok := m.registries.Get(c.Registry); ok {
		k.registry = r.ordinal
		if result.Transaction != nil {
			r = m.writable(r)
			if r.keys.living == 0 {
				r.keys.floor = k.revision - 1
			}
			r.keys.living++
			m.rehash(r)
		}
	}
	m.addKey(k)
}

// expireKey forgets the oldest key if it is older than KeyTTL, and reports whether
// it did.
func (m *Machine) expireKey() bool {
	if m.keys.len() == 0 {
		return false
	}
	k := m.keys.at(m.keys.head)
	if m.age-k.born < KeyTTL {
		return false
	}
	if k.other == nil {
		r, _ := m.registries.Get(m.names[k.registry])
		r = m.writable(r)
		r.keys.living--
		r.keys.floor = k.revision
		m.rehash(r)
	}
	m.sum.sub(k.hash())
	m.keyIndex.remove(&m.keys, m.keys.head)
	m.keys.pop()
	return true
}

// replay builds the answer to an earlier command again. c is its repeat: the same
// request under the same key.
func (m *Machine) replay(c *Command, k *keyEntry) Result {
	result := Result{Revision: k.revision, Replayed: true}
	if k.other.refused() {
		result.Refusal, result.Revision = k.other.refusal.whole(c), 0
		return result
	}
	if k.other != nil {
		if put, ok := c.Op.(Put); ok {
			put.Entity.CurrentVersion = k.other.version
			result.Entities = []Entity{put.Entity}
		}
		return result
	}
	r, _ := m.registries.Get(m.names[k.registry])
	t, err := r.transaction(r.chain(m.cluster.ClusterID), k.revision)
	if err != nil { // keys hold back what they refer to, so the memory is damaged
		panic("fsm: replaying an idempotent answer: " + err.Error())
	}
	result.Transaction = &t
	switch op := c.Op.(type) {
	case Bump, Batch:
		result.Entities = r.entitiesAfter(t.Changes)
	case Put:
		op.Entity.CurrentVersion = t.Changes[0].NewVersion
		result.Entities = []Entity{op.Entity}
	}
	return result
}

// entitiesAfter returns the entities with the versions that the changes gave them, and
// otherwise as they are now, or were when they were deleted.
func (r *registry) entitiesAfter(changes []Change) []Entity {
	entities := make([]Entity, len(changes))
	for i, c := range changes {
		s, _ := r.slots.Get(c.EntityID) // once there, a slot stays
		entities[i] = *s.def
		entities[i].CurrentVersion = c.NewVersion
	}
	return entities
}
