package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/term"
)

// format is how a command writes its data.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
)

// String, Set and Type make a format the value of a flag.
func (f *format) String() string { return string(*f) }

func (f *format) Set(s string) error {
	switch v := format(s); v {
	case formatTable, formatJSON:
		*f = v
		return nil
	}
	return fmt.Errorf("neither table nor json")
}

func (f *format) Type() string { return "table|json" }

// print writes the data of a command: value as indented JSON, or what table makes of it.
func (a *app) print(f format, value any, table func(p *page)) error {
	var out bytes.Buffer
	if f == formatJSON {
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(value); err != nil {
			return fmt.Errorf("encoding the output: %w", err)
		}
	} else {
		table(a.page(&out))
	}
	if _, err := a.stdout.Write(out.Bytes()); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// printDone is print for a change that was made: that it cannot be told does not undo it.
func (a *app) printDone(f format, value any, registry string, revision uint64, table func(p *page)) error {
	if err := a.print(f, value, table); err != nil {
		return fmt.Errorf("it is done, registry %s is at revision %d, but %w", registry, revision, err)
	}
	return nil
}

// page begins a page for standard output: in colours and as wide as the terminal is, if it is one.
func (a *app) page(out *bytes.Buffer) *page {
	p := &page{out: out}
	if file, ok := a.stdout.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.colour = a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
		p.width, _, _ = term.GetSize(int(file.Fd())) // 0 if it does not tell
	}
	return p
}

// yesNo is a boolean in a table.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// orDash is a text in a table that may be missing.
func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// deref is an optional text in a table.
func deref(s *string) string {
	if s == nil {
		return "-"
	}
	return orDash(*s)
}

// derefUint is an optional number in a table.
func derefUint(n *uint64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatUint(*n, 10)
}

// count is a number of things in words.
func count(n int, singular, plural string) string {
	if n == 1 {
		return "1 " + singular
	}
	return strconv.Itoa(n) + " " + plural
}
