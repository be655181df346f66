package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
	"github.com/tesd/tesd/internal/wire"
)

// shapeCode is the code under which validate lists faults of shape among the findings.
const shapeCode = string(client.CodeInvalidRequest)

func (a *app) validateCommand() *cobra.Command {
	var f format
	c := &cobra.Command{
		Use:     "validate FILE [flags]",
		GroupID: groupOffline,
		Short:   "Check a registry file without a server",
		Long: `Checks a registry file as a server would before it imports it. FILE is JSON, an array of
entities or an object with "entities", such as "tesd export" writes; "-" is standard
input. Errors make the exit code 1, warnings and information do not.`,
		Example: `  tesd validate registry.json
  tesd export | tesd validate - -o json`,
		Args: cobra.ExactArgs(1),
	}
	addFormat(c, &f)
	return a.command(c, func(_ context.Context, args []string) error {
		raw, err := a.readInput(args[0])
		if err != nil {
			return fmt.Errorf("reading the registry: %w", err)
		}
		found, entities := validate(raw)
		err = a.print(f, found, func(p *page) {
			if rows := findingRows(found); len(rows) > 0 {
				p.table([]string{"SEVERITY", "CODE", "ENTITY", "MESSAGE"}, rows)
				p.gap()
			}
			p.line("%s: %s, %s, %s, %d info", verdict(found.Valid), count(entities, "entity", "entities"),
				count(len(found.Errors), "error", "errors"), count(len(found.Warnings), "warning", "warnings"), len(found.Info))
		})
		if err == nil && !found.Valid {
			err = fmt.Errorf("%s: the registry is invalid: %s", args[0], count(len(found.Errors), "error", "errors"))
		}
		return err
	})
}

func verdict(valid bool) string {
	if valid {
		return "valid"
	}
	return "invalid"
}

// validate checks the content of a registry file and counts its entities. A file that is
// out of shape has these faults alone: what it says cannot be judged.
func validate(raw []byte) (client.Validation, int) {
	entities, err := decodeRegistry(raw)
	if shape, ok := errors.AsType[*shapeError](err); ok {
		var found client.Validation
		for _, p := range shape.problems {
			found.Errors = append(found.Errors, client.Finding{Code: shapeCode, Message: problemText(p)})
		}
		return found, 0
	}
	return *wire.Validation(fsm.Validate(entities)), len(entities)
}

// findingRows is a row per finding, the gravest first.
func findingRows(v client.Validation) [][]string {
	var rows [][]string
	add := func(severity string, findings []client.Finding) {
		for _, f := range findings {
			rows = append(rows, []string{severity, f.Code, orDash(f.EntityID), f.Message})
		}
	}
	add("error", v.Errors)
	add("warning", v.Warnings)
	add("info", v.Info)
	return rows
}
