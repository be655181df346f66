package archtest_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// modulePath is what go.mod calls this module.
const modulePath = "github.com/tesd/tesd"

// A tree is the parsed Go files that the rules look at, in order of their paths.
type tree struct {
	fset  *token.FileSet
	files []*source
}

// A source is one parsed Go file.
type source struct {
	path string // from the module's root, with slashes
	dir  string // the directory of path; "." for the root
	test bool   // its name ends in _test.go
	ast  *ast.File
}

// A finding is one place that breaks a rule, and what to do about it.
type finding struct {
	path string
	line int
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text) }

// at makes a finding of what is at pos in s.
func (t *tree) at(s *source, pos token.Pos, format string, args ...any) finding {
	return finding{s.path, t.line(pos), fmt.Sprintf(format, args...)}
}

func (t *tree) line(pos token.Pos) int { return t.fset.Position(pos).Line }

// shipped returns the files that are not tests.
func (t *tree) shipped() []*source {
	return slices.DeleteFunc(slices.Clone(t.files), func(s *source) bool { return s.test })
}

// under returns the shipped files of dir and the directories below it.
func (t *tree) under(dir string) []*source {
	return slices.DeleteFunc(t.shipped(), func(s *source) bool { return !within(s.dir, dir) })
}

// within reports whether path p is root or lies below it.
func within(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

// parseTree parses sources by path. It is how the rules' own tests make a module.
func parseTree(sources map[string]string) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	for p, text := range sources {
		f, err := parser.ParseFile(t.fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parsing a source: %w", err)
		}
		t.files = append(t.files, &source{
			path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), ast: f,
		})
	}
	slices.SortFunc(t.files, func(a, b *source) int { return cmp.Compare(a.path, b.path) })
	return t, nil
}

// readModule parses every Go file of the module that holds the working directory.
func readModule() (*tree, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	sources := make(map[string]string)
	err = fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(p):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(p, ".go"):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p)))
		sources[p] = string(text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	return parseTree(sources)
}

// skipped reports whether the go command, too, leaves directory p alone, or p is
// where local nodes keep their binaries and data.
func skipped(p string) bool {
	base := path.Base(p)
	return p == "bin" || p == "data" || base == "testdata" || base == "vendor" ||
		p != "." && strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

// moduleRoot finds the directory of go.mod at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module "+modulePath+"\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod of %s at or above the working directory", modulePath)
		}
		dir = up
	}
}

// importPath is the path that spec imports.
func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil { // the parser has read it, so it is a string literal
		panic(err)
	}
	return p
}

// isStd reports whether an import path is of the standard library: only those of
// other modules begin with a host.
func isStd(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// selects reports whether expr is pkg.name for one of names, where pkg is what the
// file calls the standard library's package importPath.
func (s *source) selects(expr ast.Node, pkg string, names ...string) bool {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok || !slices.Contains(names, sel.Sel.Name) {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == s.nameOf(pkg)
}

// nameOf is the name under which the file imports pkg, or "" if it does not.
func (s *source) nameOf(pkg string) string {
	for _, spec := range s.ast.Imports {
		switch {
		case importPath(spec) != pkg:
		case spec.Name != nil:
			return spec.Name.Name
		default:
			return path.Base(pkg)
		}
	}
	return ""
}

// marked reports whether the comment that ends on the line above pos has a line that
// begins with mark and goes on to give a reason.
func (t *tree) marked(s *source, pos token.Pos, mark string) bool {
	for _, group := range s.ast.Comments {
		if t.line(group.End()) == t.line(pos)-1 && hasMark(group, mark) {
			return true
		}
	}
	return false
}

// hasMark reports whether a line of group begins with mark and goes on to give a reason.
func hasMark(group *ast.CommentGroup, mark string) bool {
	for line := range strings.Lines(group.Text()) {
		if why, ok := strings.CutPrefix(line, mark); ok && strings.TrimSpace(why) != "" {
			return true
		}
	}
	return false
}
