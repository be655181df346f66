package archtest_test

import (
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strings"
)

const (
	maxFileLines = 450
	maxFuncLines = 80

	// immutable marks a package-level variable that nothing ever writes to; the reason follows it.
	immutable = "immutable:"
)

// checkPackageComments finds packages that do not say what they are for.
func checkPackageComments(t *tree) []finding {
	type pkg struct{ dir, name string }
	first := make(map[pkg]*source)
	documented := make(map[pkg]bool)
	for _, s := range t.shipped() {
		p := pkg{s.dir, s.ast.Name.Name}
		if first[p] == nil {
			first[p] = s
		}
		want := "Package " + p.name + " "
		if p.name == "main" {
			want = "Command "
		}
		if strings.HasPrefix(s.ast.Doc.Text(), want) {
			documented[p] = true
		}
	}
	var found []finding
	for _, s := range t.shipped() {
		p := pkg{s.dir, s.ast.Name.Name}
		if first[p] == s && !documented[p] {
			found = append(found, t.at(s, s.ast.Name.Pos(),
				"package %s has no comment; write one above its package clause that begins with \"Package %[1]s\" (for main: \"Command\")", p.name))
		}
	}
	return found
}

// checkDocComments finds exported names without a doc comment: functions, methods of
// exported types, types, constants and variables.
func checkDocComments(t *tree) []finding {
	var found []finding
	for _, s := range t.shipped() {
		report := func(id *ast.Ident, docs ...*ast.CommentGroup) {
			said := slices.ContainsFunc(docs, func(g *ast.CommentGroup) bool { return g.Text() != "" })
			if id.IsExported() && !said {
				found = append(found, t.at(s, id.Pos(), "%s is exported and has no doc comment; say what it means", id.Name))
			}
		}
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if receiverExported(d) {
					report(d.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						report(spec.Name, spec.Doc, spec.Comment, ungrouped(d))
					case *ast.ValueSpec:
						for _, id := range spec.Names {
							report(id, spec.Doc, spec.Comment, d.Doc)
						}
					}
				}
			}
		}
	}
	return found
}

// ungrouped is the comment of a declaration without parentheses.
func ungrouped(d *ast.GenDecl) *ast.CommentGroup {
	if d.Lparen.IsValid() {
		return nil
	}
	return d.Doc
}

// receiverExported reports whether f is a function or a method of an exported type.
func receiverExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	typ := f.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// checkNoInit finds functions that run because a package is imported.
func checkNoInit(t *tree) []finding {
	var found []finding
	for _, s := range t.files {
		for _, decl := range s.ast.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				found = append(found, t.at(s, f.Pos(), "func init runs unasked; call a function from main or a constructor"))
			}
		}
	}
	return found
}

// checkNoGlobalState finds package-level variables that could hold state. Assertions
// (var _ I = T{}), error sentinels, compiled patterns and embedded files are none.
func checkNoGlobalState(t *tree) []finding {
	var found []finding
	for _, s := range t.shipped() {
		for _, decl := range s.ast.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				if s.constant(v) || excused(d.Doc) || excused(v.Doc) {
					continue
				}
				found = append(found, t.at(s, v.Pos(), "package-level variable %s could hold state; make it a constant, "+
					"a field or a function, or add the line `// %s why` to the comment above it", v.Names[0].Name, immutable))
			}
		}
	}
	return found
}

// constant reports whether every name of v is blank or has a value of a kind that is
// made once and never written to.
func (s *source) constant(v *ast.ValueSpec) bool {
	if !slices.ContainsFunc(v.Names, func(id *ast.Ident) bool { return id.Name != "_" }) {
		return true
	}
	for _, value := range v.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok || !s.selects(call.Fun, "errors", "New") && !s.selects(call.Fun, "fmt", "Errorf") &&
			!s.selects(call.Fun, "regexp", "MustCompile") {
			return false
		}
	}
	return len(v.Values) > 0
}

// excused reports whether a variable's comment marks it as immutable or embeds a file in it.
func excused(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	embeds := func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }
	return hasMark(doc, immutable) || slices.ContainsFunc(doc.List, embeds)
}

// checkFileLength finds shipped files that hold more than one idea.
func checkFileLength(t *tree) []finding {
	var found []finding
	for _, s := range t.shipped() {
		if n := t.fset.File(s.ast.FileStart).LineCount(); n > maxFileLines {
			found = append(found, finding{s.path, n, "file is too long; split it by idea"})
		}
	}
	return found
}

// checkFuncLength finds shipped functions that do more than one thing.
func checkFuncLength(t *tree) []finding {
	var found []finding
	for _, s := range t.shipped() {
		for _, decl := range s.ast.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := t.line(f.End()) - t.line(f.Pos()) + 1; n > maxFuncLines {
				found = append(found, t.at(s, f.Pos(), "%s has %d lines, more than %d; split it by step", f.Name.Name, n, maxFuncLines))
			}
		}
	}
	return found
}

// checkNoSleep finds tests that wait by the clock.
func checkNoSleep(t *tree) []finding {
	var found []finding
	for _, s := range t.files {
		if !s.test {
			continue
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if n != nil && s.selects(n, "time", "Sleep") {
				found = append(found, t.at(s, n.Pos(), "a test that sleeps is slow or flaky; wait for the condition itself, "+
					"in a synctest bubble with synctest.Wait or a timer"))
			}
			return true
		})
	}
	return found
}

// checkPackageNames finds packages whose name says nothing about what is in them.
func checkPackageNames(t *tree) []finding {
	empty := []string{"util", "utils", "common", "helper", "helpers", "misc"}
	var found []finding
	for _, s := range t.files {
		name := strings.TrimSuffix(s.ast.Name.Name, "_test")
		if slices.Contains(empty, name) || slices.Contains(empty, path.Base(s.dir)) {
			found = append(found, t.at(s, s.ast.Name.Pos(), "package %s (in %s) has a name that fits anything; name it after what it provides", name, s.dir))
		}
	}
	return found
}
