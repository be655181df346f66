package httpapi

import (
	"encoding/hex"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// The types of the state machine in the form of the wire. The two stay apart because
// the machine's own formats must not move with the API.

func entitiesOf(entities []fsm.Entity) []client.Entity {
	out := make([]client.Entity, len(entities))
	for i := range entities {
		out[i] = entityOf(&entities[i])
	}
	return out
}

func entityOf(e *fsm.Entity) client.Entity {
	files := make([]client.File, len(e.Files))
	for i, f := range e.Files {
		files[i] = client.File(f)
	}
	return client.Entity{
		ID: e.ID, Type: string(e.Type), CurrentVersion: e.CurrentVersion, UpdateStrategy: string(e.UpdateStrategy),
		ParentVersionID: e.ParentVersionID, Files: files, DisplayInUI: e.DisplayInUI, DisplayName: e.DisplayName,
		Description: e.Description, APIEndpointPrefix: e.APIEndpointPrefix, CLICommandName: e.CLICommandName,
	}
}

func changesOf(changes []fsm.Change) []client.Change {
	out := make([]client.Change, len(changes))
	for i := range changes {
		c := &changes[i]
		out[i] = client.Change{
			EntityID: c.EntityID, OldVersion: nonEmpty(c.OldVersion), NewVersion: nonEmpty(c.NewVersion), DisplayName: c.DisplayName,
		}
	}
	return out
}

// nonEmpty returns nil, which is null on the wire, for "".
func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func validationOf(r fsm.Report) *client.Validation {
	list := func(findings []fsm.Finding) []client.Finding {
		out := make([]client.Finding, len(findings))
		for i, f := range findings {
			out[i] = client.Finding(f)
		}
		return out
	}
	return &client.Validation{Valid: r.Valid(), Errors: list(r.Errors), Warnings: list(r.Warnings), Info: list(r.Info)}
}

// eventOf returns a transaction as the history tells it, with its receipt if asked for.
func eventOf(t *fsm.Transaction, payload []byte, signature string, receipt bool) client.Event {
	e := client.Event{
		Revision: t.Revision, Kind: t.Kind.String(), TransactionID: t.ID, Timestamp: t.Timestamp, Actor: t.Actor,
		Changes: changesOf(t.Changes), Signature: signature, KeyID: t.KeyID, HSL: hslSuccess,
	}
	if receipt {
		e.Payload, e.Hash = string(payload), hex.EncodeToString(t.Hash[:])
	}
	return e
}
