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
	dst = appendString(append(dst, `{"displayName":`...), c.DisplayName)
	dst = appendString(append(dst, `,"entityId":`...), c.EntityID)
	dst = appendVersion(append(dst, `,"newVersion":`...), c.NewVersion)
	dst = appendVersion(append(dst, `,"oldVersion":`...), c.OldVersion)
	return append(dst, '}')
}

// appendVersion appends the version of one side of a change.
func appendVersion(dst []byte, version string) []byte {
	if version == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, version)
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
	dst = appendString(append(dst, `{"actor":`...), t.Actor)
	dst = append(dst, `,"changes":`...)
	dst = appendArray(dst, len(t.Changes), func(dst []byte, i int) []byte { return t.Changes[i].AppendJSON(dst) })
	dst = appendString(append(dst, `,"clusterId":`...), t.ClusterID)
	dst = appendString(append(dst, `,"kind":`...), t.Kind.String())
	dst = hex.AppendEncode(append(dst, `,"previousHash":"`...), t.PreviousHash[:])
	dst = appendString(append(dst, `","registryId":`...), t.RegistryID)
	dst = append(append(dst, `,"request":`...), t.Request...)
	dst = strconv.AppendUint(append(dst, `,"revision":`...), t.Revision, 10)
	dst = strconv.AppendInt(append(dst, `,"timestamp":`...), t.Timestamp, 10)
	dst = appendString(append(dst, `,"transactionId":`...), t.ID)
	return append(dst, '}')
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
	var id [36]byte
	hex.Encode(id[0:], h[0:4])
	hex.Encode(id[9:], h[4:6])
	hex.Encode(id[14:], h[6:8])
	hex.Encode(id[19:], h[8:10])
	hex.Encode(id[24:], h[10:16])
	id[8], id[13], id[18], id[23] = '-', '-', '-', '-'
	return string(id[:])
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
