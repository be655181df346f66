package client

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ErrVerification is what every [*VerificationError] is, for errors.Is.
var ErrVerification = errors.New("verification failed")

// A VerificationError is a receipt that is not what the cluster signed, or does not follow the one
// before it.
type VerificationError struct {
	Revision uint64 // as the receipt has it
	Reason   string
}

// Error names the revision and what is wrong with it.
func (e *VerificationError) Error() string {
	return fmt.Sprintf("revision %d: verification failed: %s", e.Revision, e.Reason)
}

// Is tells whether target is [ErrVerification].
func (e *VerificationError) Is(target error) bool { return target == ErrVerification }

// A Verifier checks receipts and histories offline. It is safe for concurrent use.
type Verifier struct {
	// Key is the signing key of the cluster. Without one only hashes, chain and contents are checked,
	// which shows damage, but not a forgery by one who wrote the whole anew.
	Key []byte
}

// Verified tells what a [Verifier] has checked and found right.
type Verified struct {
	Receipts   int    // how many; 0 leaves the other fields empty
	RegistryID string // of all of them
	ClusterID  string // of the last; a restored cluster has a new one
	First      uint64 // revision of the first
	Last       uint64 // revision of the last
	Head       string // hash of the last: it stands for all that came before

	// Signatures says that each was signed with the key; false means that there was no key to check
	// them with.
	Signatures bool

	// Complete says that the first is revision 1, so that nothing came before what was checked.
	Complete bool
}

// signed is the payload of a receipt.
type signed struct {
	ClusterID     string          `json:"clusterId"`
	RegistryID    string          `json:"registryId"`
	Revision      uint64          `json:"revision"`
	Kind          string          `json:"kind"`
	TransactionID string          `json:"transactionId"`
	Timestamp     int64           `json:"timestamp"`
	Actor         string          `json:"actor"`
	Request       json.RawMessage `json:"request"`
	Changes       []Change        `json:"changes"`
	PreviousHash  string          `json:"previousHash"`
}

// noHash is the previous hash of revision 1.
const noHash = "0000000000000000000000000000000000000000000000000000000000000000"

// KeyID names a signing key without giving it away.
func KeyID(key []byte) string {
	return sign(key, []byte("tesd key id v1"))[:16]
}

// VerifyReceipt checks one receipt: that hash, signature and key id are those of the payload, and that
// registry and revision are those in it. Its error is a [*VerificationError].
func (v Verifier) VerifyReceipt(r Receipt) (Verified, error) {
	p, err := v.open(r)
	if err != nil {
		return Verified{}, err
	}
	if p.RegistryID != r.RegistryID {
		return Verified{}, unverified(r.Revision, "it is of registry %q, not %q", p.RegistryID, r.RegistryID)
	}
	var done Verified
	err = v.link(&done, p, r.Hash)
	return done, err
}

// VerifyHistory checks consecutive events that came with their receipts, oldest first: each as
// VerifyReceipt does, that it says what its payload says, and that the payload carries the hash of the
// one before. To check a history page by page, begin each page with the last event of the page before.
// Its error is a [*VerificationError]; what is returned beside it is right up to there.
func (v Verifier) VerifyHistory(events []Event) (Verified, error) {
	var done Verified
	for _, e := range events {
		if err := v.follow(&done, e); err != nil {
			return done, err
		}
	}
	return done, nil
}

// follow checks an event that follows what is done, and counts it in.
func (v Verifier) follow(done *Verified, e Event) error {
	if e.Payload == "" {
		return unverified(e.Revision, "the event came without its receipt")
	}
	p, err := v.open(Receipt{
		Revision: e.Revision, Payload: e.Payload, Hash: e.Hash, Signature: e.Signature, KeyID: e.KeyID,
	})
	if err != nil {
		return err
	}
	if field := differing(e, p); field != "" {
		return unverified(e.Revision, "the event's %s is not what was signed", field)
	}
	return v.link(done, p, e.Hash)
}

// open checks a receipt by itself, but for its registry, and gives what was signed.
func (v Verifier) open(r Receipt) (*signed, error) {
	sum := sha256.Sum256([]byte(r.Payload))
	if r.Hash != hex.EncodeToString(sum[:]) {
		return nil, unverified(r.Revision, "the hash is not that of the payload")
	}
	if len(v.Key) > 0 {
		if id := KeyID(v.Key); r.KeyID != id {
			return nil, unverified(r.Revision, "it names key %q, and the key at hand is %q", r.KeyID, id)
		}
		if !hmac.Equal([]byte(r.Signature), []byte(sign(v.Key, []byte(r.Payload)))) {
			return nil, unverified(r.Revision, "the signature is not that of the payload")
		}
	}
	p := new(signed)
	if err := json.Unmarshal([]byte(r.Payload), p); err != nil {
		return nil, unverified(r.Revision, "the payload cannot be read: %v", err)
	}
	if p.Revision != r.Revision {
		return nil, unverified(r.Revision, "the payload is of revision %d", p.Revision)
	}
	return p, nil
}

// link checks that p, whose hash is given, follows what is done, and counts it in.
func (v Verifier) link(done *Verified, p *signed, hash string) error {
	switch {
	case p.Revision == 0:
		return unverified(0, "there is no such revision")
	case p.Revision == 1 && p.PreviousHash != noHash:
		return unverified(1, "it is the first, and names one before it")
	case done.Receipts == 0:
		done.RegistryID, done.First = p.RegistryID, p.Revision
		done.Signatures, done.Complete = len(v.Key) > 0, p.Revision == 1
	case p.RegistryID != done.RegistryID:
		return unverified(p.Revision, "it is of registry %q, those before it of %q", p.RegistryID, done.RegistryID)
	case p.Revision != done.Last+1:
		return unverified(p.Revision, "it follows revision %d", done.Last)
	case p.PreviousHash != done.Head:
		return unverified(p.Revision, "it does not carry the hash of revision %d", done.Last)
	}
	done.Receipts++
	done.ClusterID, done.Last, done.Head = p.ClusterID, p.Revision, hash
	return nil
}

// differing names the field by which an event differs from what was signed, "" if it does not.
func differing(e Event, p *signed) string {
	switch {
	case e.Kind != p.Kind:
		return "kind"
	case e.TransactionID != p.TransactionID:
		return "transactionId"
	case e.Timestamp != p.Timestamp:
		return "timestamp"
	case e.Actor != p.Actor:
		return "actor"
	case !slices.EqualFunc(e.Changes, p.Changes, sameChange):
		return "changes"
	}
	return ""
}

// sameChange tells whether two changes say the same.
func sameChange(a, b Change) bool {
	same := func(x, y *string) bool { return x == y || x != nil && y != nil && *x == *y }
	return a.EntityID == b.EntityID && a.DisplayName == b.DisplayName &&
		same(a.OldVersion, b.OldVersion) && same(a.NewVersion, b.NewVersion)
}

// sign gives the hex HMAC-SHA256 of data.
func sign(key, data []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil))
}

// unverified makes the error of a revision.
func unverified(revision uint64, format string, args ...any) error {
	return &VerificationError{Revision: revision, Reason: fmt.Sprintf(format, args...)}
}
