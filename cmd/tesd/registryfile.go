package main

import (
	"path/filepath"
	"strings"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/intake"
	"github.com/tesd/tesd/internal/wire"
)

// shapeError is what is wrong with the shape of a file.
type shapeError struct{ problems []fsm.Problem }

// Error tells one fault in a line, and several in a line each.
func (e *shapeError) Error() string {
	if len(e.problems) == 1 {
		return problemText(e.problems[0])
	}
	var b strings.Builder
	b.WriteString(count(len(e.problems), "fault", "faults"))
	for _, p := range e.problems {
		b.WriteString("\n  " + problemText(p))
	}
	return b.String()
}

// problemText is a fault in one line.
func problemText(p fsm.Problem) string {
	if p.Path == "" {
		return "the file " + p.Message
	}
	return p.Path + ": " + p.Message
}

// shapeFault returns the faults as an error, nil if there are none.
func shapeFault(f *intake.Faults) error {
	if list := f.List(); len(list) > 0 {
		return &shapeError{list}
	}
	return nil
}

// decodeRegistry reads the entities of a registry file. Its error is a [*shapeError] with
// all faults.
func decodeRegistry(raw []byte) ([]fsm.Entity, error) {
	var f intake.Faults
	entities := intake.RegistryFile(raw, &f)
	return entities, shapeFault(&f)
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
	if err := checkRegistry(entities); err != nil {
		return fsm.Migrate{}, err
	}
	return fsm.Migrate{Source: source, Entities: entities}, nil
}

// checkRegistry holds the entities of a whole registry to the rules for content.
func checkRegistry(entities []fsm.Entity) error {
	if report := fsm.Validate(entities); !report.Valid() {
		return &invalidError{"registry", wire.Validation(report)}
	}
	return nil
}

// invalidError is a registry or an entity whose content breaks the rules.
type invalidError struct {
	what  string
	found *client.Validation
}

// Error tells how many errors there are, and each in a line.
func (e *invalidError) Error() string {
	text := "the " + e.what + " is invalid: " + count(len(e.found.Errors), "error", "errors")
	for _, f := range e.found.Errors {
		text += "\n  " + f.Code + " " + f.EntityID + ": " + f.Message
	}
	return text
}
