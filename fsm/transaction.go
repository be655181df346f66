package fsm

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
)

// Change says how one entity's version moved in a transaction.
type Change struct {
	EntityID    string
	OldVersion  string // empty if the transaction created the entity
	NewVersion  string // empty if the transaction removed it
	DisplayName string

	// Type is that of the entity after the transaction, or before it if that removed the
	// entity. It is no part of the payload: watchers are told by it what concerns them.
	Type EntityType
}

// AppendJSON appends the change as canonical JSON (RFC 8785), with null for the version that one side
// of it does not have.
func (c *Change) AppendJSON(dst []byte) []byte {
	o := openObject(dst)
	o.string("displayName", c.DisplayName)
	o.string("entityId", c.EntityID)
	o.nullable("newVersion", c.NewVersion)
	o.nullable("oldVersion", c.OldVersion)
	return o.close()
}

// Transaction is one committed change of a registry: a bump with its whole cascade,
// a batch, a migrate, a put or a delete. It is immutable.
type Transaction struct {
	ClusterID    string
	RegistryID   string
	Revision     uint64
	Kind         Kind
	ID           string // derived from cluster, registry and revision
	Timestamp    int64  // Unix milliseconds, the same on every node
	Actor        string
	Request      []byte // in normal form, as canonical JSON
	Changes      []Change
	Items        []int // of a batch: how many of the changes belong to each request
	KeyID        string
	PreviousHash Hash // of the registry's transaction before; zero at revision 1
	Hash         Hash // SHA-256 of the payload
}

// Payload returns the exact bytes that a receipt signs: canonical JSON (RFC 8785) of
// the transaction and of the hash of the one before it.
func (t *Transaction) Payload() []byte { return t.appendPayload(nil) }

func (t *Transaction) appendPayload(dst []byte) []byte {
	if dst == nil {
		dst = make([]byte, 0, 400+len(t.Request)+128*len(t.Changes))
	}
	o := openObject(dst)
	o.string("actor", t.Actor)
	o.name("changes")
	o.dst = appendArray(o.dst, len(t.Changes), func(dst []byte, i int) []byte { return t.Changes[i].AppendJSON(dst) })
	o.string("clusterId", t.ClusterID)
	o.string("kind", t.Kind.String())
	o.name("previousHash")
	o.dst = append(hex.AppendEncode(append(o.dst, '"'), t.PreviousHash[:]), '"')
	o.string("registryId", t.RegistryID)
	o.raw("request", t.Request)
	o.uint("revision", t.Revision)
	o.int("timestamp", t.Timestamp)
	o.string("transactionId", t.ID)
	return o.close()
}

// seal derives what follows from the rest: the id, and the hash over the payload.
// scratch is reused for the payload and returned.
func (t *Transaction) seal(scratch []byte) []byte {
	t.ID = transactionID(t.ClusterID, t.RegistryID, t.Revision)
	scratch = t.appendPayload(scratch[:0])
	t.Hash = sha256.Sum256(scratch)
	return scratch
}

// transactionID is a UUID of version 8 (RFC 9562, section 5.8) whose custom bits are
// a hash of what identifies the transaction, so that every node derives the same.
func transactionID(clusterID, registryID string, revision uint64) string {
	b := make([]byte, 0, 160)
	b = append(append(b, clusterID...), 0)
	b = append(append(b, registryID...), 0)
	b = strconv.AppendUint(b, revision, 10)
	h := sha256.Sum256(b)
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	id := make([]byte, 0, 36)
	for i, part := range [][]byte{h[0:4], h[4:6], h[6:8], h[8:10], h[10:16]} {
		if i > 0 {
			id = append(id, '-')
		}
		id = hex.AppendEncode(id, part)
	}
	return string(id)
}

// encode writes what a history block keeps of a transaction: everything that does
// not follow from its place in the block.
func (t *Transaction) encode(e *encoder) {
	e.byte(byte(t.Kind))
	e.uint(uint64(t.Timestamp))
	e.string(t.Actor)
	e.string(t.KeyID)
	e.bytes(t.Request)
	e.uint(uint64(len(t.Changes)))
	for i := range t.Changes {
		c := &t.Changes[i]
		e.string(c.EntityID)
		e.string(c.OldVersion)
		e.string(c.NewVersion)
		e.string(c.DisplayName)
		e.string(string(c.Type))
	}
	e.uint(uint64(len(t.Items)))
	for _, n := range t.Items {
		e.uint(uint64(n))
	}
}

// decode takes over what encode wrote. The memory of earlier changes and items is used again.
func (t *Transaction) decode(d *decoder) {
	t.Kind, t.Timestamp, t.Actor, t.KeyID, t.Request = Kind(d.byte()), int64(d.uint()), d.string(), d.string(), d.bytes()
	t.Changes = t.Changes[:0]
	if n := d.count(); n > 0 {
		t.Changes = slices.Grow(t.Changes, min(n, 1024))
		for range n {
			t.Changes = append(t.Changes, Change{
				EntityID: d.string(), OldVersion: d.string(), NewVersion: d.string(), DisplayName: d.string(), Type: EntityType(d.string()),
			})
			if d.err != nil {
				break
			}
		}
	}
	t.Items = t.Items[:0]
	if n := d.count(); n > 0 {
		t.Items = slices.Grow(t.Items, min(n, MaxBatch))
		for range n {
			t.Items = append(t.Items, int(d.uint()))
		}
	}
}
