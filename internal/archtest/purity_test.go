package archtest_test

import (
	"go/ast"
	"go/types"
	"path"
)

// anyOrder marks a loop over a map whose order reaches no result; the reason follows it.
const anyOrder = "any order:"

// checkNoGoroutine finds goroutines in the state machine.
func checkNoGoroutine(t *tree) []finding {
	var found []finding
	for _, s := range t.under("fsm") {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if stmt, ok := n.(*ast.GoStmt); ok {
				found = append(found, t.at(s, stmt.Pos(), "the state machine starts no goroutine; do the work in order"))
			}
			return true
		})
	}
	return found
}

// checkNoMapOrder finds loops over maps in the state machine, which go another way on
// each replica.
func checkNoMapOrder(t *tree) []finding {
	const remedy = "the order of a map differs from node to node; sort its keys first, " +
		"or mark the line above `// " + anyOrder + " why it does not matter`"
	var found []finding
	report := func(s *source, n ast.Node) {
		if !t.marked(s, n.Pos(), anyOrder) {
			found = append(found, t.at(s, n.Pos(), remedy))
		}
	}
	sources := t.under("fsm")
	typeOf := t.typesOf(sources)
	for _, s := range sources {
		sorted := make(map[ast.Node]bool) // arguments of slices.Sorted and its kin
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt:
				if isMap(typeOf[n.X].Type) {
					report(s, n)
				}
			case *ast.CallExpr:
				if s.selects(n.Fun, "slices", "Sorted", "SortedFunc") {
					sorted[n.Args[0]] = true
				}
				if s.selects(n.Fun, "maps", "All", "Keys", "Values") && !sorted[n] {
					report(s, n)
				}
			}
			return true
		})
	}
	return found
}

func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

// typesOf works out the types of expressions, package by package. Imported packages
// count as empty, which keeps it fast: what has its type from elsewhere is unknown,
// while the package's own maps are found.
func (t *tree) typesOf(sources []*source) map[ast.Expr]types.TypeAndValue {
	byDir := make(map[string][]*ast.File)
	for _, s := range sources {
		byDir[s.dir] = append(byDir[s.dir], s.ast)
	}
	info := types.Info{Types: make(map[ast.Expr]types.TypeAndValue)}
	conf := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	for dir, files := range byDir {
		_, _ = conf.Check(dir, t.fset, files, &info) // errors are expected: see above
	}
	return info.Types
}

// emptyImporter answers every import with a package that declares nothing.
type emptyImporter struct{}

func (emptyImporter) Import(p string) (*types.Package, error) {
	pkg := types.NewPackage(p, path.Base(p))
	pkg.MarkComplete()
	return pkg, nil
}
