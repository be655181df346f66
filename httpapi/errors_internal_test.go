package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tesd/tesd/client"
	"github.com/tesd/tesd/fsm"
)

// declared is an exported value of a package: its name, and the text it is made of.
type declared struct{ name, text string }

// declarations returns the exported values of a package whose names begin with prefix
// and that are made of one text, whether by itself or as the argument of a call.
func declarations(t *testing.T, dir, prefix string) []declared {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var found []declared
	inspectSpec := func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if !strings.HasPrefix(name.Name, prefix) || i >= len(spec.Values) {
				continue
			}
			value := spec.Values[i]
			if call, ok := value.(*ast.CallExpr); ok && len(call.Args) > 0 {
				value = call.Args[0]
			}
			text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatalf("%s: %s: %v", dir, name.Name, err)
			}
			found = append(found, declared{name.Name, text})
		}
		return false
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if _, ok := decl.(*ast.GenDecl); ok {
				ast.Inspect(decl, inspectSpec)
			}
		}
	}
	if len(found) < 3 {
		t.Fatalf("%s has %d values named %s…; the search is wrong", dir, len(found), prefix)
	}
	return found
}

// TestEveryCodeHasAKind holds the table of codes against the packages that use them.
func TestEveryCodeHasAKind(t *testing.T) {
	codes := declarations(t, "../client", "Code")
	for _, d := range append(codes, declarations(t, "../fsm", "Code")...) {
		if kinds[client.Code(d.text)].status == 0 {
			t.Errorf("code %s (%s) has no row in kinds", d.name, d.text)
		}
	}
	for code, k := range kinds {
		if !slices.ContainsFunc(codes, func(d declared) bool { return d.text == string(code) }) {
			t.Errorf("package client does not know %s", code)
		}
		if (k.status == 429 || k.status == 503) != (k.retryAfter > 0) {
			t.Errorf("%s has status %d and Retry-After %d", code, k.status, k.retryAfter)
		}
		want := client.OutcomeRejected
		switch {
		case k.status == 429 || k.status == 503:
			want = client.OutcomeNotApplied
		case k.status >= 500:
			want = client.OutcomeUnknown
		}
		if k.outcome != want {
			t.Errorf("%s has status %d and outcome %s", code, k.status, k.outcome)
		}
	}
}

// TestEverySentinelHasACode holds the table of errors against the packages that
// return them.
func TestEverySentinelHasACode(t *testing.T) {
	for _, dir := range []string{"../fsm", "../cluster"} {
		for _, d := range declarations(t, dir, "Err") {
			if !slices.ContainsFunc(sentinels, func(s sentinel) bool { return s.err.Error() == d.text }) {
				t.Errorf("%s: %s has no row in sentinels", dir, d.name)
			}
		}
	}
	for _, s := range sentinels {
		if kinds[s.code].status == 0 {
			t.Errorf("%v comes to %s, which has no row in kinds", s.err, s.code)
		}
	}
}

// TestRefusalsOfTheMachine maps each code of a refusal to itself.
func TestRefusalsOfTheMachine(t *testing.T) {
	for _, d := range declarations(t, "../fsm", "Code") {
		r := &fsm.Refusal{
			Code: fsm.Code(d.text), Registry: "r", EntityID: "e", Item: 2, Expected: "1", Actual: "2",
			Findings: []fsm.Finding{{Code: "C", EntityID: "e", Message: "m"}},
		}
		f := failureOf(r)
		if string(f.code) != d.text || f.entityID != "e" || f.message == "" || f.details[0].Path != "requests[2]" {
			t.Errorf("%s comes to %+v", d.name, f)
		}
		if (f.validation != nil) != (f.code == client.CodeRegistryInvalid) {
			t.Errorf("%s has validation %+v", d.name, f.validation)
		}
	}
}
