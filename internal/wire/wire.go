// Package wire puts the state machine's types into the form in which they travel. The two
// stay apart because the machine's own formats must not move with the API. What it
// returns shares no memory with what it was given, but for texts.
package wire

import (
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// Entities returns entities as answers and requests carry them; never nil.
func Entities(entities []fsm.Entity) []client.Entity {
	out := make([]client.Entity, len(entities))
	for i := range entities {
		out[i] = Entity(&entities[i])
	}
	return out
}

// Entity returns one entity as answers and requests carry it.
func Entity(e *fsm.Entity) client.Entity {
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

// Changes returns the changes of a transaction, with null for the version that one side
// of a change does not have; never nil.
func Changes(changes []fsm.Change) []client.Change {
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

// Validation returns a report on a registry.
func Validation(r fsm.Report) *client.Validation {
	list := func(findings []fsm.Finding) []client.Finding {
		out := make([]client.Finding, len(findings))
		for i, f := range findings {
			out[i] = client.Finding(f)
		}
		return out
	}
	return &client.Validation{Valid: r.Valid(), Errors: list(r.Errors), Warnings: list(r.Warnings), Info: list(r.Info)}
}
