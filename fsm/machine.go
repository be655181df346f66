package fsm

import (
	"fmt"

	"github.com/tidwall/btree"
)

// maxAdvance bounds, in milliseconds, how far one entry moves the age clock: ten
// minutes.
const maxAdvance = 10 * 60 * 1000

// state is everything that is replicated. A published one is immutable.
type state struct {
	index      uint64 // of the last log entry applied; not part of the state hash
	cluster    Genesis
	stamp      int64 // the last entry's, clamped to never go back
	age        int64 // the age clock, in milliseconds
	malformed  uint64
	registries *btree.Map[string, *registry]
	names      []string // registry ids by ordinal
	keys       keyLog
	sum        sum256 // of all registries, slots and keys
}

// Machine is the writer's side of the state machine. It is for one goroutine;
// others read the views that it gives out.
type Machine struct {
	state
	keyIndex keyTable    // number of each key's entry in the log of keys
	epoch    uint64      // grows with each view, so that registries are copied before a write
	maxKeys  uint64      // MaxKeys, but in tests
	stale    []*registry // whose own part of the state hash is to be brought up to date
	payload  []byte      // memory for that of the transaction being sealed
	request  []byte      // memory for that of the command being carried out
	slot     [1]*slot    // memory for a plan
	entities []Entity    // memory for answers, see roomForOne
	packer   packer      // of history blocks
}

// New returns the machine of a cluster that has not been founded yet.
func New() *Machine {
	return &Machine{
		state:   state{registries: btree.NewMap[string, *registry](0)},
		maxKeys: MaxKeys,
		epoch:   1,
	}
}

// View returns the state as it is now, in O(1). It stays as it is while the machine
// moves on, and may be read by any number of goroutines.
func (m *Machine) View() View {
	m.epoch++
	s := m.state
	s.registries = m.registries.Copy()
	return View{&s}
}

// StateHash returns that of the state as it is now, without the cost of a view.
func (m *Machine) StateHash() Hash { return View{&m.state}.StateHash() }

// Apply carries out the commands of one log entry, in order, and returns the answer
// to each. index is the entry's place in the log and grows from call to call.
func (m *Machine) Apply(index uint64, entry Entry) []Result {
	if index <= m.index {
		panic(fmt.Sprintf("fsm: entry %d applied after %d", index, m.index))
	}
	m.advance(entry.Stamp)
	results := make([]Result, len(entry.Commands))
	for i := range entry.Commands {
		results[i] = m.apply(&entry.Commands[i])
	}
	m.settle()
	m.index = index
	return results
}

// advance moves both clocks to an entry's stamp and forgets keys that grew old. An
// entry that moves no clock forgets nothing, so that it does not matter how commands
// of one stamp are split into entries.
func (m *Machine) advance(stamp int64) {
	if stamp <= m.stamp {
		return
	}
	if m.stamp > 0 { // the first stamp starts the age clock
		m.age += min(stamp-m.stamp, maxAdvance)
	}
	m.stamp = stamp
	for range expirePerEntry {
		if !m.expireKey() {
			return
		}
	}
}

func (m *Machine) apply(c *Command) Result {
	switch op := c.Op.(type) {
	case malformed:
		m.malformed++
		return Result{Refusal: &Refusal{Code: CodeInvalidRequest, Item: -1}}
	case Lead:
		return Result{}
	case Genesis:
		if problems := c.Check(); problems != nil {
			return refused(c, &Refusal{Code: CodeInvalidRequest, Item: -1, Problems: problems})
		}
		m.found(op)
		return Result{}
	}
	result := m.answer(c)
	result.Registry = c.Registry
	return result
}

// found founds the cluster, once. The default registry exists from then on.
func (m *Machine) found(g Genesis) {
	if m.cluster.ClusterID != "" {
		return
	}
	m.cluster = g
	m.insert(newRegistry(g.RegistryID, 0))
}

func (m *Machine) answer(c *Command) Result {
	if m.cluster.ClusterID == "" {
		return refused(c, refuse(CodeNotReady, ""))
	}
	if problems := c.Check(); problems != nil {
		return refused(c, &Refusal{Code: CodeInvalidRequest, Item: -1, Problems: problems})
	}
	request := c.Op.appendRequest(m.request[:0])
	m.request = reusable(request)
	if c.Key == "" {
		return m.execute(c, request)
	}
	name, hash := nameOfKey(c.Key), c.requestHash(request)
	if k, ok := m.findKey(name); ok {
		if k.request != hash {
			return refused(c, refuse(CodeKeyReused, ""))
		}
		return m.replay(c, &k)
	}
	if m.keys.len() >= m.maxKeys && !m.expireKey() {
		return refused(c, refuse(CodeTooMany, ""))
	}
	result := m.execute(c, request)
	if result.Refusal == nil || result.Refusal.kept() {
		m.keepKey(name, hash, c, &result)
	}
	return result
}

// refused completes a refusal with what it is about.
func refused(c *Command, refusal *Refusal) Result {
	refusal.Registry = c.Registry
	if refusal.EntityID == "" {
		refusal.EntityID = c.EntityID()
	}
	return Result{Refusal: refusal}
}

// execute carries out a command that is in shape and new.
func (m *Machine) execute(c *Command, request []byte) Result {
	r, refusal := m.lookup(c)
	if refusal != nil {
		return refused(c, refusal)
	}
	switch op := c.Op.(type) {
	case Bump:
		plan := m.roomForOne()
		refusal := r.planBumps(&plan, []Bump{op}, false)
		return m.commitPlan(c, request, r, &plan, refusal)
	case Batch:
		var plan moves
		refusal := r.planBumps(&plan, op.Requests, true)
		return m.commitPlan(c, request, r, &plan, refusal)
	case Put:
		return m.put(c, request, r, op)
	case Delete:
		return m.delete(c, request, r, op)
	case Migrate:
		return m.migrate(c, request, r, op)
	}
	panic(fmt.Sprintf("fsm: no execution for %T", c.Op))
}

// roomForOne returns an empty plan with room for one move, which is all that most plans hold. Its
// entities become those of the answer: answers do not live long, so that several share a piece of memory.
func (m *Machine) roomForOne() moves {
	const share = 32
	if len(m.entities) == 0 {
		m.entities = make([]Entity, share)
	}
	plan := moves{Plan: Plan{Entities: m.entities[:0:1]}, slots: m.slot[:0]}
	m.entities = m.entities[1:]
	return plan
}

// lookup finds the command's registry and holds it against If-Match. For a put or a
// migrate, one that does not exist yet is given as a new and empty one, which comes
// into being when a transaction is committed to it.
func (s *state) lookup(c *Command) (*registry, *Refusal) {
	r, ok := s.registries.Get(c.Registry)
	if !ok {
		if kind := c.Kind(); kind != KindPut && kind != KindMigrate {
			return nil, refuse(CodeRegistryNotFound, "")
		}
		if s.registries.Len() >= MaxRegistries {
			refusal := refuse(CodeTooLarge, "")
			refusal.Expected = fmt.Sprintf("%d registries", MaxRegistries)
			return nil, refusal
		}
		r = newRegistry(c.Registry, uint32(len(s.names)))
	}
	if c.IfMatch != nil && *c.IfMatch != r.revision {
		return nil, refuseRevision(*c.IfMatch, r.revision)
	}
	return r, nil
}

// insert makes a registry part of the state.
func (m *Machine) insert(r *registry) {
	m.names = append(m.names, r.id)
	m.registries.Set(r.id, r)
	m.sum.add(r.sum)
}

// writable returns the registry for writing: a copy, unless it is one already.
func (m *Machine) writable(r *registry) *registry {
	if int(r.ordinal) == len(m.names) {
		m.insert(r)
	}
	if r.epoch != m.epoch {
		r = r.clone(m.epoch)
		m.registries.Set(r.id, r)
	}
	return r
}

// rehash has the state hash brought up to date with the registry's own fields, once the entry is applied:
// an entry may hold a thousand transactions of one registry.
func (m *Machine) rehash(r *registry) {
	if !r.stale {
		r.stale = true
		m.stale = append(m.stale, r)
	}
}

// settle brings the state hash up to date.
func (m *Machine) settle() {
	for _, r := range m.stale {
		was := r.sum
		r.sum, r.stale = r.hash(), false
		m.sum.replace(was, r.sum)
	}
	clear(m.stale)
	m.stale = m.stale[:0]
}
