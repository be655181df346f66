package main

import (
	"fmt"
	"path/filepath"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// fileBody, entityBody and placeBody are what a registry file holds. Pointers and nil
// slices tell what is absent from what is given.
type fileBody struct {
	RegistryID *string      `json:"registryId"` // as export writes it; only the entities count
	Revision   *uint64      `json:"revision"`
	Entities   []entityBody `json:"entities"`
}

type entityBody struct {
	ID                *string     `json:"id"`
	Type              *string     `json:"type"`
	CurrentVersion    *string     `json:"currentVersion"`
	UpdateStrategy    *string     `json:"updateStrategy"`
	ParentVersionID   *string     `json:"parentVersionId"`
	Files             []placeBody `json:"files"`
	DisplayInUI       *bool       `json:"displayInUi"`
	DisplayName       *string     `json:"displayName"`
	Description       *string     `json:"description"`
	APIEndpointPrefix *string     `json:"apiEndpointPrefix"`
	CLICommandName    *string     `json:"cliCommandName"`
}

type placeBody struct {
	Path           *string `json:"path"`
	Pattern        *string `json:"pattern"`
	Replacement    *string `json:"replacement"`
	Description    *string `json:"description"`
	DefaultVersion *string `json:"defaultVersion"`
	Required       *bool   `json:"required"`
}

// decodeRegistry reads the entities of a registry file, a bare array or an object with
// "entities". Its error is a [*shapeError] with all faults that can be told at once.
func decodeRegistry(raw []byte) ([]fsm.Entity, error) {
	var (
		body fileBody
		at   = "entities"
		err  error
	)
	if isArray(raw) {
		at = ""
		err = decodeStrict(raw, &body.Entities)
	} else {
		err = decodeStrict(raw, &body)
	}
	if err != nil {
		return nil, err
	}
	var r shapeReader
	if body.Entities == nil {
		r.fault("entities", "is required")
	}
	if len(body.Entities) > fsm.MaxEntities {
		return nil, shapeFault(at, "has %d entities, the limit is %d", len(body.Entities), fsm.MaxEntities)
	}
	entities := make([]fsm.Entity, len(body.Entities))
	for i := range body.Entities {
		entities[i] = r.entity(fmt.Sprintf("%s[%d].", at, i), &body.Entities[i])
	}
	if len(r.problems) > 0 {
		return nil, &shapeError{r.problems}
	}
	return entities, nil
}

// shapeReader turns what was decoded into entities, and notes what is missing or out of
// shape.
type shapeReader struct{ problems []fsm.Problem }

func (r *shapeReader) fault(path, message string) {
	r.problems = append(r.problems, fsm.Problem{Path: path, Message: message})
}

func (r *shapeReader) entity(at string, b *entityBody) fsm.Entity {
	before := len(r.problems)
	e := fsm.Entity{
		ID:                required(r, at+"id", b.ID),
		Type:              fsm.EntityType(required(r, at+"type", b.Type)),
		CurrentVersion:    required(r, at+"currentVersion", b.CurrentVersion),
		UpdateStrategy:    fsm.Strategy(required(r, at+"updateStrategy", b.UpdateStrategy)),
		ParentVersionID:   optional(b.ParentVersionID),
		DisplayInUI:       required(r, at+"displayInUi", b.DisplayInUI),
		DisplayName:       required(r, at+"displayName", b.DisplayName),
		Description:       optional(b.Description),
		APIEndpointPrefix: optional(b.APIEndpointPrefix),
		CLICommandName:    optional(b.CLICommandName),
	}
	if b.ParentVersionID != nil && e.ParentVersionID == "" {
		r.fault(at+"parentVersionId", "is empty; leave it out instead")
	}
	if b.Files == nil {
		r.fault(at+"files", "is required")
	}
	for i := range b.Files {
		f := &b.Files[i]
		place := fmt.Sprintf("%sfiles[%d].", at, i)
		e.Files = append(e.Files, fsm.File{
			Path:           required(r, place+"path", f.Path),
			Pattern:        required(r, place+"pattern", f.Pattern),
			Replacement:    required(r, place+"replacement", f.Replacement),
			Description:    required(r, place+"description", f.Description),
			DefaultVersion: optional(f.DefaultVersion),
			Required:       optional(f.Required),
		})
	}
	if len(r.problems) > before {
		return e // what is missing would be told a second time, as being empty
	}
	for _, p := range e.Check() {
		r.fault(at+p.Path, p.Message)
	}
	return e
}

// required returns a member that must be there.
func required[T any](r *shapeReader, path string, value *T) T {
	if value == nil {
		r.fault(path, "is required")
	}
	return optional(value)
}

// optional returns a member that may be absent, its zero value if it is.
func optional[T any](value *T) T {
	if value == nil {
		return *new(T)
	}
	return *value
}

// sourceOf is the source that a migrate of a file has unless it is given another.
func sourceOf(path string) string {
	if path == "-" {
		return "file:stdin"
	}
	return "file:" + filepath.Base(path)
}

// readMigrate makes a migrate of a registry file's content, or says why there can be none.
func readMigrate(raw []byte, source string) (fsm.Migrate, error) {
	entities, err := decodeRegistry(raw)
	if err != nil {
		return fsm.Migrate{}, err
	}
	if report := fsm.Validate(entities); !report.Valid() {
		return fsm.Migrate{}, &invalidError{validationOf(report)}
	}
	return fsm.Migrate{Source: source, Entities: entities}, nil
}

// invalidError is a registry whose content breaks the rules.
type invalidError struct{ found client.Validation }

// Error tells how many errors there are, and each in a line.
func (e *invalidError) Error() string {
	text := "the registry is invalid: " + count(len(e.found.Errors), "error", "errors")
	for _, f := range e.found.Errors {
		text += "\n  " + f.Code + " " + f.EntityID + ": " + f.Message
	}
	return text
}

// wireEntities are entities as a request carries them.
func wireEntities(entities []fsm.Entity) []client.Entity {
	out := make([]client.Entity, len(entities))
	for i := range entities {
		e := &entities[i]
		files := make([]client.File, len(e.Files))
		for k, f := range e.Files {
			files[k] = client.File(f)
		}
		out[i] = client.Entity{
			ID: e.ID, Type: string(e.Type), CurrentVersion: e.CurrentVersion, UpdateStrategy: string(e.UpdateStrategy),
			ParentVersionID: e.ParentVersionID, Files: files, DisplayInUI: e.DisplayInUI, DisplayName: e.DisplayName,
			Description: e.Description, APIEndpointPrefix: e.APIEndpointPrefix, CLICommandName: e.CLICommandName,
		}
	}
	return out
}
