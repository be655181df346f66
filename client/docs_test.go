package client_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// TestEveryNameIsExplained: what other packages may leave to the comment of a group, each exported name
// of this one says by itself.
func TestEveryNameIsExplained(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	fset, names := token.NewFileSet(), 0
	check := func(id *ast.Ident, docs ...*ast.CommentGroup) {
		if !id.IsExported() {
			return
		}
		names++
		for _, doc := range docs {
			if doc.Text() != "" {
				return
			}
		}
		t.Errorf("%s: %s has no comment of its own", fset.Position(id.Pos()), id.Name)
	}
	for _, file := range files {
		if name := file.Name(); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, file.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			explain(decl, check)
		}
	}
	if names < 100 {
		t.Errorf("only %d exported names were found", names)
	}
}

// explain calls check with each name that a declaration makes, and what comments it alone.
func explain(decl ast.Decl, check func(id *ast.Ident, docs ...*ast.CommentGroup)) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		check(d.Name, d.Doc)
	case *ast.GenDecl:
		alone := d.Doc
		if d.Lparen.IsValid() {
			alone = nil
		}
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				check(spec.Name, spec.Doc, spec.Comment, alone)
			case *ast.ValueSpec:
				for _, id := range spec.Names {
					check(id, spec.Doc, spec.Comment, alone)
				}
			}
		}
	}
}
