package archtest_test

import (
	"go/ast"
	"slices"
)

// checkNoUnixNow finds moments of a server that are kept without their monotonic part.
func checkNoUnixNow(t *tree) []finding {
	var found []finding
	for _, s := range slices.Concat(t.under("cluster"), t.under("httpapi")) {
		ast.Inspect(s.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Unix", "UnixMilli", "UnixMicro", "UnixNano"}, sel.Sel.Name) && s.asksForTime(sel.X) {
				found = append(found, t.at(s, sel.Sel.Pos(), "the time of day may be put right at any moment, by a year; keep a time.Time, "+
					"or how long something has been, by time.Since"))
			}
			return true
		})
	}
	return found
}

// asksForTime reports whether time.Now is called in an expression.
func (s *source) asksForTime(expr ast.Node) (asks bool) {
	ast.Inspect(expr, func(n ast.Node) bool {
		asks = asks || n != nil && s.selects(n, "time", "Now")
		return !asks
	})
	return asks
}

func plantedMoments() []plant {
	const plain = "package a\n\nimport \"time\"\n\nvar a = f(time.Now().UnixNano())\n"
	const later = "package a\n\nimport clock \"time\"\n\nvar a = f(clock.Now().\n\tAdd(1).UnixMilli())\n"
	const given = "package a\n\nimport \"time\"\n\nvar a, b = stamp().UnixMilli(), time.Now().Add(1)\n"
	return []plant{
		{"plain", one("httpapi/a.go", plain), []string{"httpapi/a.go:5"}},
		{"later", one("cluster/a.go", later), []string{"cluster/a.go:6"}},
		{"a stamp", one("cluster/a.go", given), nil},
		{"a tool", one("internal/bench/a.go", plain), nil},
		{"test", one("httpapi/a_test.go", plain), nil},
	}
}
