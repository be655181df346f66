package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/cluster"
)

func TestTree(t *testing.T) {
	entity := func(id, parent string) client.Entity { return client.Entity{ID: id, ParentVersionID: parent} }
	for _, c := range []struct {
		name   string
		bumped []client.Entity
		want   string
	}{
		{"nothing", nil, ""},
		{"one, whose parent stays", []client.Entity{entity("a", "elsewhere")}, "a  1  →  2\n"},
		{
			"two roots", []client.Entity{entity("a", ""), entity("a1", "a"), entity("b", ""), entity("b1", "b")}, "" +
				"a      1  →  2\n" +
				"└─ a1  1  →  2\n" +
				"b      1  →  2\n" +
				"└─ b1  1  →  2\n",
		},
		{
			"branches go on beside what is deeper",
			[]client.Entity{entity("a", ""), entity("b", "a"), entity("c", "b"), entity("d", "b"), entity("e", "a"), entity("f", "e")}, "" +
				"a        1  →  2\n" +
				"├─ b     1  →  2\n" +
				"│  ├─ c  1  →  2\n" +
				"│  └─ d  1  →  2\n" +
				"└─ e     1  →  2\n" +
				"   └─ f  1  →  2\n",
		},
		{"an entity that stands twice", []client.Entity{entity("a", ""), entity("b", "a"), entity("b", "a")}, "" +
			"a     1  →  2\n" +
			"├─ b  1  →  2\n"},
		{"a loop below no root", []client.Entity{entity("r", ""), entity("a", "b"), entity("b", "a")}, "r  1  →  2\n"},
	} {
		var changes []client.Change
		for _, e := range c.bumped {
			changes = append(changes, client.Change{EntityID: e.ID, OldVersion: new("1"), NewVersion: new("2")})
		}
		var out bytes.Buffer
		(&page{out: &out}).tree(c.bumped, changes)
		if diff := cmp.Diff(c.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestDisplayWidth(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 1, "e\u0301": 1, "日本": 4, "→": 1, "└─": 2, "한국": 4, "🚀": 2, "ﾊ": 1, "Ａ": 2, "a\u200db": 2,
	} {
		if got := displayWidth(text); got != want {
			t.Errorf("%q takes %d columns, want %d", text, got, want)
		}
	}
}

func TestColourIsOfTheHeaderOnly(t *testing.T) {
	var out bytes.Buffer
	(&page{out: &out, colour: true}).table([]string{"A", "B"}, [][]string{{"x\x1b[2J", "y"}})
	if want := "\x1b[1mA      B\x1b[0m\nx�[2J  y\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTablesFitTheTerminal(t *testing.T) {
	rows := [][]string{{"component:booking-service", "4.2.0", "日本語日本語日本語"}}
	for _, c := range []struct {
		width int
		want  string
	}{
		{0, "component:booking-service  4.2.0  日本語日本語日本語\n"},
		{52, "component:booking-service  4.2.0  日本語日本語日本語\n"},
		{40, "component:book…  4.2.0  日本語日本語日…\n"},
		{10, "component:b…  4.2.0  日本語日本…\n"}, // no less than twelve columns, of which a wide character leaves one
	} {
		var out bytes.Buffer
		(&page{out: &out, width: c.width}).table(nil, rows)
		if out.String() != c.want {
			t.Errorf("in %d columns: got\n%swant\n%s", c.width, out.String(), c.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, exitDone},
		{"usage", usagef("x"), exitUsage},
		{"any", errors.New("x"), exitFailed},
		{"interrupted", context.Canceled, exitFailed},
		{"interrupted before it was sent", errors.Join(client.ErrUnavailable, context.Canceled), exitFailed},
		{"interrupted under way", errors.Join(client.ErrUnknownOutcome, context.Canceled), exitUnknown},
		{"waited in vain", &lateError{"x"}, exitUnavailable},
		{"not compared", &troubleError{errors.New("x")}, exitUsage},
		{"interrupted while it compared", &troubleError{context.Canceled}, exitUsage},
		{"nothing to compare with", &troubleError{&client.Error{Status: 404, Outcome: client.OutcomeRejected}}, exitNotFound},
		{"too late", fmt.Errorf("x: %w", client.ErrUnavailable), exitUnavailable},
		{"a gap", fmt.Errorf("x: %w", &client.GapError{}), exitNotFound},
		{"key reused", &client.Error{Status: 422, Code: client.CodeIdempotencyKeyReused, Outcome: client.OutcomeRejected}, exitConflict},
		{"not allowed", client.ErrNotAllowed, exitNotAllowed},
		{"verification", &client.VerificationError{}, exitVerification},
		{"divergence", fmt.Errorf("running the node: %w", cluster.ErrDiverged), exitDiverged},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for text, want := range map[string]string{"": "''", "a-b_1": "a-b_1", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'"} {
		if got := shellQuote(text); got != want {
			t.Errorf("%q is quoted as %s, want %s", text, got, want)
		}
	}
}

// TestEveryCommandExplainsItself holds each command to having help, and showing an example
// in it that begins with the command.
func TestEveryCommandExplainsItself(t *testing.T) {
	a := &app{getenv: func(string) string { return "" }}
	var check func(c *cobra.Command)
	check = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" {
			t.Errorf("%s lacks a short text or a long one", c.CommandPath())
		}
		var help bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(t.Context(), args, nil, nil, &help, &help); code != exitDone {
			t.Errorf("%s --help exits with %d", c.CommandPath(), code)
		}
		if !strings.Contains(help.String(), "\nExamples:\n  "+c.CommandPath()) {
			t.Errorf("%s --help begins no example with the command:\n%s", c.CommandPath(), &help)
		}
		for _, below := range c.Commands() {
			check(below)
		}
	}
	check(a.rootCommand())
}

// TestEveryCommandIsListed holds the table of commands in the documents to the commands.
func TestEveryCommandIsListed(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, built []string
	for _, row := range regexp.MustCompile("(?m)^\\| `tesd .*? \\|").FindAllString(string(page), -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row, -1) {
			listed = append(listed, name[1])
		}
	}
	a := &app{getenv: func(string) string { return "" }}
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		if !c.HasSubCommands() {
			built = append(built, c.CommandPath())
		}
		for _, below := range c.Commands() {
			add(below)
		}
	}
	add(a.rootCommand())
	slices.Sort(listed)
	slices.Sort(built)
	if diff := cmp.Diff(built, listed); diff != "" {
		t.Errorf("docs/cli.md lists other commands than there are (-there are +listed):\n%s", diff)
	}
}

// brokenWriter is a pipe that nobody reads any more.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestOutputThatCannotBeWritten(t *testing.T) {
	var stderr bytes.Buffer
	if got := run(t.Context(), []string{"version"}, nil, nil, brokenWriter{}, &stderr); got != exitFailed {
		t.Errorf("exit code %d, want %d", got, exitFailed)
	}
	if want := "tesd: writing the output: broken pipe\n"; stderr.String() != want {
		t.Errorf("it said %q, want %q", stderr.String(), want)
	}
}
