package httpapi

import (
	"encoding/hex"
	"fmt"
	"iter"
	"strconv"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/wire"
)

// page says which transactions of a history to answer.
type page struct {
	after    uint64
	explicit bool // after was given: what it asks for must still be kept
	limit    int
	last     int    // the newest this many; 0 for those above after
	entityID string // "" for any
	receipts bool
}

func parsePage(q *query) page {
	var p page
	p.after, p.explicit = q.uint("after")
	limit, last := q.count("limit"), q.count("last")
	p.limit, p.last = limit, last
	if limit == 0 {
		p.limit = maxPage
	}
	if last > 0 && (p.explicit || limit > 0) {
		q.f.Add("?last", "does not go with after or limit")
	}
	p.entityID, _ = q.checked("entityId", fsm.CheckEntityID)
	p.receipts, _ = q.bool("receipts")
	return p
}

// history answers a page of a registry's transactions.
func (s *Server) history(c *call) (*answer, error) {
	return serveRead(c, parsePage, func(r fsm.Registry, p page) (*answer, error) {
		transactions, err := p.find(r)
		if err != nil {
			return nil, err
		}
		if c.ifNoneMatch(r.Revision()) {
			return notModified(), nil
		}
		resp := client.HistoryResponse{Events: []client.Event{}, Revision: r.Revision(), OldestRevision: r.OldestRevision()}
		for t, err := range transactions {
			if err != nil {
				return nil, fmt.Errorf("reading the history: %w", err)
			}
			if len(resp.Events) == p.limit {
				resp.Next = resp.Events[p.limit-1].Revision
				break
			}
			payload := t.Payload()
			signature, err := s.node.Sign(payload)
			if err != nil {
				return nil, fmt.Errorf("signing the history: %w", err)
			}
			resp.Events = append(resp.Events, eventOf(&t, payload, signature, p.receipts))
		}
		return jsonAnswer(resp)
	})
}

// find returns the transactions from which the page is filled.
func (p *page) find(r fsm.Registry) (iter.Seq2[fsm.Transaction, error], error) {
	p.after = min(p.after, r.Revision()) // what is above will be after it
	if p.explicit && p.after+1 < r.OldestRevision() {
		return nil, compacted("?after", p.after+1, r)
	}
	if p.entityID == "" {
		if p.last > 0 {
			p.after = r.Revision() - min(r.Revision(), uint64(p.last))
		}
		return r.History(p.after), nil
	}
	if _, exists := r.Entity(p.entityID); !exists && !moved(r, p.entityID) {
		return nil, unknownEntity(p.entityID, r.ID())
	}
	if p.last > 0 {
		newest := make([]uint64, 0, p.last) // a ring
		n := 0
		for revision := range r.EntityRevisions(p.entityID, 0) {
			if len(newest) < p.last {
				newest = append(newest, revision)
			} else {
				newest[n%p.last] = revision
			}
			n++
		}
		if n > p.last {
			p.after = newest[n%p.last] - 1
		}
	}
	return r.EntityHistory(p.entityID, p.after), nil
}

// moved reports whether the kept history has the entity, which may have been deleted.
func moved(r fsm.Registry, entityID string) bool {
	for range r.EntityRevisions(entityID, 0) {
		return true
	}
	return false
}

// compacted is the failure of asking for a revision that is no longer kept.
func compacted(path string, revision uint64, r fsm.Registry) error {
	message := fmt.Sprintf("revision %d of registry %q is no longer kept; the oldest that is kept is %d", revision, r.ID(), r.OldestRevision())
	f := &failure{code: client.CodeRevisionCompacted, message: message}
	if path != "" {
		f.details = []client.Detail{{Path: path, Message: message}}
	}
	return f
}

// receipt answers the receipt of one transaction.
func (s *Server) receipt(c *call) (*answer, error) {
	return serveRead(c, func(*query) struct{} { return struct{}{} }, func(r fsm.Registry, _ struct{}) (*answer, error) {
		revision, ok := parseRevision(c.tail)
		if !ok || revision == 0 || revision > r.Revision() {
			return nil, &failure{
				code:    client.CodeRevisionNotFound,
				message: "registry " + strconv.Quote(r.ID()) + " has no revision " + strconv.Quote(c.tail),
			}
		}
		if revision < r.OldestRevision() {
			return nil, compacted("", revision, r)
		}
		if c.ifNoneMatch(r.Revision()) {
			return notModified(), nil
		}
		t, err := r.Transaction(revision)
		if err != nil {
			return nil, fmt.Errorf("reading the receipt: %w", err)
		}
		payload := t.Payload()
		signature, err := s.node.Sign(payload)
		if err != nil {
			return nil, fmt.Errorf("signing the receipt: %w", err)
		}
		return jsonAnswer(client.Receipt{
			RegistryID: t.RegistryID, Revision: t.Revision, Payload: string(payload),
			Hash: hex.EncodeToString(t.Hash[:]), Signature: signature, KeyID: t.KeyID,
		})
	})
}

// eventOf returns a transaction as the history tells it, with its receipt if asked for.
func eventOf(t *fsm.Transaction, payload []byte, signature string, receipt bool) client.Event {
	e := client.Event{
		Revision: t.Revision, Kind: t.Kind.String(), TransactionID: t.ID, Timestamp: t.Timestamp, Actor: t.Actor,
		Changes: wire.Changes(t.Changes), Signature: signature, KeyID: t.KeyID, HSL: hslSuccess,
	}
	if receipt {
		e.Payload, e.Hash = string(payload), hex.EncodeToString(t.Hash[:])
	}
	return e
}
