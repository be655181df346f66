package watchcheck

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Transaction is one transaction of the history, with its receipt.
type Transaction struct {
	Event
	PreviousHash string
}

// History is what really happened in a registry.
type History struct {
	ClusterID    string
	Transactions []Transaction // all of them, from revision 1 on

	// Oldest holds, by revision, the oldest one that is kept once that revision is there. Nil
	// if all are kept.
	Oldest []uint64

	// TypeOf returns the type that an entity has all its life.
	TypeOf func(entityID string) string
}

// last returns the newest revision.
func (h *History) last() uint64 { return uint64(len(h.Transactions)) }

// oldestAt returns the oldest revision that is kept once a revision is there.
func (h *History) oldestAt(revision uint64) uint64 {
	if len(h.Oldest) == 0 {
		return 1
	}
	return h.Oldest[min(revision, uint64(len(h.Oldest)-1))]
}

// firstHash is the previous hash of revision 1.
const firstHash = "0000000000000000000000000000000000000000000000000000000000000000"

// Check proves that the history is a chain from revision 1 on, without a hole, and that each
// receipt carries what the transaction says.
func (h *History) Check() error {
	previous := firstHash
	for i := range h.Transactions {
		t := &h.Transactions[i]
		sum := sha256.Sum256([]byte(t.Payload))
		switch {
		case t.Revision != uint64(i+1):
			return fmt.Errorf("history: revision %d stands where revision %d belongs", t.Revision, i+1)
		case t.PreviousHash != previous:
			return fmt.Errorf("history: revision %d does not follow from the one before", t.Revision)
		case t.Hash != hex.EncodeToString(sum[:]):
			return fmt.Errorf("history: the hash of revision %d is not that of its payload", t.Revision)
		case !strings.Contains(t.Payload, `"previousHash":"`+previous+`"`):
			return fmt.Errorf("history: the payload of revision %d does not carry the hash of the one before", t.Revision)
		case !strings.Contains(t.Payload, `"transactionId":"`+t.TransactionID+`"`):
			return fmt.Errorf("history: the payload of revision %d is not of its transaction", t.Revision)
		}
		previous = t.Hash
	}
	return nil
}

// differs says how an event is not the transaction of its revision; "" if it is.
func (h *History) differs(e *Event) string {
	if e.Revision == 0 || e.Revision > h.last() {
		return fmt.Sprintf("there is no such transaction; the last one is %d", h.last())
	}
	t := &h.Transactions[e.Revision-1]
	switch {
	case e.TransactionID != t.TransactionID:
		return "it has another transaction's id"
	case e.Kind != t.Kind, e.Timestamp != t.Timestamp:
		return "kind or timestamp differ from the history's"
	case !slices.Equal(e.Changes, t.Changes):
		return fmt.Sprintf("its %d changes are not the %d of the history", len(e.Changes), len(t.Changes))
	case e.Payload != "" && e.Payload != t.Payload, e.Hash != "" && e.Hash != t.Hash:
		return "its receipt is not the history's"
	}
	return ""
}

// admitted returns which transactions a filter lets through, by index.
func (h *History) admitted(f Filter) []bool {
	all := make([]bool, len(h.Transactions))
	for i := range all {
		all[i] = f == Filter{} || slices.ContainsFunc(h.Transactions[i].Changes, func(c Change) bool {
			return (f.Entity == "" || match(f.Entity, c.EntityID)) && (f.Type == "" || h.TypeOf(c.EntityID) == f.Type)
		})
	}
	return all
}

// match reports whether a pattern, in which * is any characters and ? is one, is all of s.
func match(pattern, s string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			return match(pattern[1:], s) || s != "" && match(pattern, s[1:])
		case s == "" || pattern[0] != '?' && pattern[0] != s[0]:
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
