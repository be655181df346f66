package fsm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Kind says what a command does, and a transaction did.
type Kind uint8

// The kinds of commands. Those below kindGenesis commit transactions. The numbers
// stand in the log: they are never reused.
const (
	KindBump    Kind = 1
	KindBatch   Kind = 2
	KindMigrate Kind = 3
	KindPut     Kind = 4
	KindDelete  Kind = 5
	kindGenesis Kind = 16
	kindLead    Kind = 17
)

// String returns the kind's name as receipts carry it.
func (k Kind) String() string {
	switch k {
	case KindBump:
		return "bump"
	case KindBatch:
		return "batch"
	case KindMigrate:
		return "migrate"
	case KindPut:
		return "put"
	case KindDelete:
		return "delete"
	case kindGenesis:
		return "genesis"
	case kindLead:
		return "lead"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Command is one request to the machine: who asks, on what conditions, for what.
type Command struct {
	Registry string  // id of the registry; empty for Genesis and Lead
	Actor    string  // who asks: a token's id, or "anonymous"
	Key      string  // idempotency key; empty for none
	IfMatch  *uint64 // the revision that the registry must be at; nil for any
	Op       Op
}

// Op is one of [Bump], [Batch], [Migrate], [Put], [Delete], [Genesis] and [Lead].
type Op interface {
	kind() Kind
	check(c *checker)
	// appendRequest appends the request in normal form, as canonical JSON: defaults
	// filled in, absent fields left out.
	appendRequest(dst []byte) []byte
	encode(e *encoder)
}

// Bump raises one entity, or with an empty EntityID every entity of the registry.
type Bump struct {
	Scope           Scope
	EntityID        string
	Cascade         bool   // also raise what is linked below the entity
	ExpectedVersion string // the entity's version, compared as a string; empty for any
	Reason          string
}

// Batch is several bumps in one transaction, each seeing the ones before it.
type Batch struct{ Requests []Bump }

// Migrate imports a whole registry. It acts on a registry at revision 0 only.
type Migrate struct {
	Source   string
	Entities []Entity
}

// Put creates or replaces an entity. An empty CurrentVersion keeps the stored one.
type Put struct {
	Entity     Entity
	CreateOnly bool
}

// Delete removes an entity that has no children. Its id keeps the last version: it
// cannot come back at or below it.
type Delete struct{ EntityID string }

// Genesis founds the cluster. It is the first leader's first command; a later one
// changes nothing.
type Genesis struct {
	ClusterID   string // 128 random bits in hex
	RegistryID  string // the default registry
	KeyID       string // of the key that signs receipts
	Key         []byte // the key itself if the cluster made it; nil if nodes bring it
	HistoryKeep uint64 // transactions a registry keeps; 0 for all
}

// Lead marks the start of a node's leadership of a term. It changes no state; that
// it was applied is what makes a leader ready.
type Lead struct {
	Node string
	Term uint64
}

func (Bump) kind() Kind    { return KindBump }
func (Batch) kind() Kind   { return KindBatch }
func (Migrate) kind() Kind { return KindMigrate }
func (Put) kind() Kind     { return KindPut }
func (Delete) kind() Kind  { return KindDelete }
func (Genesis) kind() Kind { return kindGenesis }
func (Lead) kind() Kind    { return kindLead }

// Kind returns the kind of the command's operation.
func (c *Command) Kind() Kind { return c.Op.kind() }

// EntityID returns the one entity that the command is about, if there is one.
func (c *Command) EntityID() string {
	switch op := c.Op.(type) {
	case Bump:
		return op.EntityID
	case Put:
		return op.Entity.ID
	case Delete:
		return op.EntityID
	}
	return ""
}

// Check returns the faults in the command's shape, with the path of each in the
// request's body. A command that has any is refused with INVALID_REQUEST.
func (c *Command) Check() []Problem {
	ch := checker{}
	if c.Kind() < kindGenesis {
		ch.err("", CheckRegistryID(c.Registry))
	}
	if c.Key != "" {
		ch.err("", CheckKey(c.Key))
	}
	ch.text("", c.Actor, MaxText)
	c.Op.check(&ch)
	return ch.problems
}

func (b Bump) check(c *checker) {
	if b.Scope < Major || b.Scope > Patch {
		c.add("scope", "is not major, minor or patch")
	}
	if b.EntityID != "" {
		c.err("entityId", CheckEntityID(b.EntityID))
	} else {
		if b.ExpectedVersion != "" {
			c.add("expectedVersion", "needs an entityId")
		}
		if !b.Cascade {
			c.add("cascade", "false needs an entityId")
		}
	}
	c.text("expectedVersion", b.ExpectedVersion, MaxText)
	c.text("reason", b.Reason, MaxReason)
}

func (b Batch) check(c *checker) {
	if len(b.Requests) == 0 {
		c.add("requests", "is empty")
	}
	if len(b.Requests) > MaxBatch {
		c.add("requests", "has %d requests, the limit is %d", len(b.Requests), MaxBatch)
		return
	}
	for i := range b.Requests {
		request := checker{}
		b.Requests[i].check(&request)
		for _, p := range request.problems {
			c.add(fmt.Sprintf("requests[%d].%s", i, p.Path), "%s", p.Message)
		}
	}
}

func (m Migrate) check(c *checker) {
	if m.Source == "" {
		c.add("source", "is empty")
	}
	c.text("source", m.Source, MaxText)
	if len(m.Entities) > MaxEntities {
		c.add("entities", "has %d entities, the limit is %d", len(m.Entities), MaxEntities)
		return
	}
	for i := range m.Entities {
		for _, p := range m.Entities[i].Check() {
			c.add(fmt.Sprintf("entities[%d].%s", i, p.Path), "%s", p.Message)
		}
	}
}

func (p Put) check(c *checker) {
	for _, fault := range p.Entity.Check() {
		c.add(fault.Path, "%s", fault.Message)
	}
}

func (d Delete) check(c *checker) { c.err("entityId", CheckEntityID(d.EntityID)) }

func (g Genesis) check(c *checker) {
	c.err("registryId", CheckRegistryID(g.RegistryID))
	c.err("clusterId", CheckRegistryID(g.ClusterID)) // hex digits, which that grammar allows
	c.text("keyId", g.KeyID, MaxText)
}

func (l Lead) check(*checker) {}

func (b Bump) appendRequest(dst []byte) []byte { return b.appendJSON(dst, true) }

// appendJSON leaves dryRun out inside a batch, where it is not a field.
func (b Bump) appendJSON(dst []byte, alone bool) []byte {
	o := openObject(dst)
	o.bool("cascade", b.Cascade)
	if alone {
		o.bool("dryRun", false)
	}
	o.optional("entityId", b.EntityID)
	o.optional("expectedVersion", b.ExpectedVersion)
	o.optional("reason", b.Reason)
	o.string("scope", b.Scope.String())
	return o.close()
}

func (b Batch) appendRequest(dst []byte) []byte {
	o := openObject(dst)
	o.bool("dryRun", false)
	o.name("requests")
	o.dst = appendArray(o.dst, len(b.Requests), func(dst []byte, i int) []byte { return b.Requests[i].appendJSON(dst, false) })
	return o.close()
}

// appendRequest of a migrate stands for the entities with the hash of their
// canonical JSON array.
func (m Migrate) appendRequest(dst []byte) []byte {
	h := sha256.New()
	var buf []byte
	for i := range m.Entities {
		buf = append(buf[:0], "[,"[min(i, 1)])
		h.Write(m.Entities[i].AppendJSON(buf))
	}
	if len(m.Entities) == 0 {
		h.Write([]byte{'['})
	}
	h.Write([]byte{']'})
	o := openObject(dst)
	o.uint("count", uint64(len(m.Entities)))
	o.string("sha256", hex.EncodeToString(h.Sum(nil)))
	o.string("source", m.Source)
	return o.close()
}

func (p Put) appendRequest(dst []byte) []byte { return p.Entity.AppendJSON(dst) }

func (d Delete) appendRequest(dst []byte) []byte {
	o := openObject(dst)
	o.string("entityId", d.EntityID)
	return o.close()
}

func (Genesis) appendRequest(dst []byte) []byte { return dst }
func (Lead) appendRequest(dst []byte) []byte    { return dst }

// requestHash identifies what a command asks for, apart from who asks and under
// which key: two commands with one key must have the same. request is the normal
// form that appendRequest gave.
func (c *Command) requestHash(request []byte) (hash [16]byte) {
	d := newDigest("tesd request").uint(uint64(c.Kind())).string(c.Registry).bool(c.IfMatch != nil)
	if c.IfMatch != nil {
		d = d.uint(*c.IfMatch)
	}
	put, ok := c.Op.(Put)
	sum := d.bool(ok && put.CreateOnly).bytes(request).sum()
	copy(hash[:], sum[:])
	return hash
}
