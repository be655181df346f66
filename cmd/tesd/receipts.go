package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/internal/intake"
)

// receipts is what a file holds to be checked.
type receipts struct {
	events  []client.Event
	single  []client.Receipt
	history bool   // the events are said to be a history, up to a revision
	last    uint64 // that revision; 0 if more is to come
}

// readReceipts takes apart what history, watch and the routes of the API write: a receipt, events, an array
// of either, or one after the other.
func readReceipts(raw []byte) (r receipts, err error) {
	take := func(one []byte) error {
		var element struct {
			client.Event
			RegistryID string `json:"registryId"`
		}
		switch err := json.Unmarshal(one, &element); {
		case err != nil:
			return err
		case element.Kind == "" && element.Payload == "":
			return errors.New("neither a receipt nor a history")
		case element.Kind == "":
			r.single = append(r.single, client.Receipt{
				RegistryID: element.RegistryID, Revision: element.Revision, Payload: element.Payload,
				Hash: element.Hash, Signature: element.Signature, KeyID: element.KeyID,
			})
		default:
			r.events = append(r.events, element.Event)
		}
		return nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(raw))
	for n := 0; ; n++ {
		value, err := d.ReadValue()
		if err == io.EOF && n > 0 {
			return r, nil
		} else if err != nil {
			return r, fmt.Errorf("no JSON at byte %d", d.InputOffset())
		}
		var page struct {
			Events   *[]client.Event `json:"events"`
			Revision uint64          `json:"revision"`
			Next     uint64          `json:"next"`
		}
		var elements []jsontext.Value
		switch {
		case intake.IsArray(value):
			err = json.Unmarshal(value, &elements)
		case json.Unmarshal(value, &page) == nil && page.Events != nil:
			r.events, r.history = append(r.events, *page.Events...), true
			if r.last = page.Revision; page.Next != 0 {
				r.last = 0
			}
		default:
			elements = []jsontext.Value{value.Clone()}
		}
		for _, one := range elements {
			if err := take(one); err != nil {
				return r, err
			}
		}
		if err != nil {
			return r, err
		}
	}
}

// verifyFile checks what is in a file: as a history, without a gap, or each by itself.
func (a *app) verifyFile(v client.Verifier, path string, each bool) (done client.Verified, err error) {
	raw, err := a.readInput(path)
	if err != nil {
		return done, fmt.Errorf("reading receipts: %w", err)
	}
	r, err := readReceipts(raw)
	switch {
	case err != nil:
		return done, fmt.Errorf("%s: %w", path, err)
	case len(r.events)+len(r.single) == 0 && r.last == 0:
		return done, fmt.Errorf("%s: there are no transactions in it", path) // nothing that could have been false
	case len(r.single) > 0 && (len(r.events) > 0 || len(r.single) > 1) && !each:
		return done, fmt.Errorf("%s: it has several receipts, of which nothing says that they follow each other; --each checks each by itself", path)
	case each:
		return verifyEach(v, r)
	case len(r.single) == 1:
		return v.VerifyReceipt(r.single[0])
	}
	done, err = v.VerifyHistory(r.events)
	if err == nil && r.history && r.last != 0 {
		err = checkEnd(done, r.last)
	}
	if failed, ok := errors.AsType[*client.VerificationError](err); ok && isGap(r.events) {
		failed.Reason += "; if transactions were left out on purpose, --each checks each by itself"
	}
	return done, err
}

// isGap reports whether revisions are left out between events.
func isGap(events []client.Event) bool {
	for i := range events[min(1, len(events)):] {
		if events[i+1].Revision != events[i].Revision+1 {
			return true
		}
	}
	return false
}

// verifyEach checks each by itself, and not that none is missing. What it returns has no head.
func verifyEach(v client.Verifier, r receipts) (whole client.Verified, err error) {
	count := func(done client.Verified, err error) error {
		if err != nil {
			return err
		}
		if whole.Receipts == 0 {
			whole = done
			whole.Head, whole.Complete = "", false
		} else if done.RegistryID != whole.RegistryID {
			return &client.VerificationError{Revision: done.First, Reason: fmt.Sprintf("it is of registry %q, those before it of %q", done.RegistryID, whole.RegistryID)}
		} else {
			whole.Receipts++
		}
		whole.First, whole.Last, whole.ClusterID = min(whole.First, done.First), max(whole.Last, done.Last), done.ClusterID
		return nil
	}
	for _, e := range r.events {
		if err := count(v.VerifyHistory([]client.Event{e})); err != nil {
			return whole, err
		}
	}
	for _, one := range r.single {
		if err := count(v.VerifyReceipt(one)); err != nil {
			return whole, err
		}
	}
	return whole, nil
}
