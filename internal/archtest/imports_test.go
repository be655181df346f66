package archtest_test

import (
	"path"
	"slices"
	"strings"
)

// A row says what the packages of one directory may import.
type row struct {
	ours   []string // directories of this module; "*" is any
	only   []string // if set, the only modules of others; else any that is not confined
	barred []string // packages of the standard library, with all below them
}

// table is the import table, by directory. A directory below has the row of the
// nearest one above it, and belongs to it; one with a row of its own must be named to be
// imported, as from there. One without a row is a finding, so that a new package is placed
// on purpose.
var table = map[string]row{
	"fsm": {
		only: []string{"github.com/klauspost/compress/s2", "github.com/tidwall/btree"},
		// Whatever could make two replicas differ: clocks, chance, schedules, the world.
		barred: []string{
			"context", "crypto/rand", "log", "math/rand", "net", "os", "plugin", "runtime",
			"sync", "syscall", "testing", "time", "unsafe",
		},
	},
	"client":               {only: []string{"github.com/gorilla/websocket"}},
	"client/clienttest":    {ours: []string{"fsm", "cluster", "client", "httpapi", "internal/solo"}},
	"cluster":              {ours: []string{"fsm", "internal/feed"}},
	"httpapi":              {ours: []string{"fsm", "cluster", "client", "internal/feed", "internal/glob", "internal/intake", "internal/wire"}},
	"cmd/tesd":             {ours: []string{"*"}},
	"scripts":              {ours: []string{"*"}},
	"internal/feed":        {ours: []string{"fsm"}},
	"internal/wire":        {ours: []string{"fsm", "client"}},
	"internal/intake":      {ours: []string{"fsm"}},
	"internal/memnet":      {},
	"internal/solo":        {ours: []string{"fsm", "cluster", "client", "internal/feed"}},
	"internal/glob":        {},
	"internal/clustertest": {ours: []string{"fsm", "cluster", "internal/feed", "internal/memnet"}},
	"internal/apicheck":    {},
	"internal/watchcheck":  {},
	"internal/bumpcheck":   {ours: []string{"internal/watchcheck"}},
	"internal/chaos":       {ours: []string{"fsm", "cluster", "client", "httpapi", "internal/bumpcheck", "internal/clustertest", "internal/memnet", "internal/watchcheck"}},
	"internal/lan":         {},
	"internal/loopback":    {},
	"internal/timerslack":  {},
	"internal/recovery":    {},
	"internal/powerloss":   {},
	"internal/e2e":         {ours: []string{"client", "internal/apicheck", "internal/lan", "internal/loopback"}},
	"internal/archtest":    {},
	"internal/bench":       {ours: []string{"client", "internal/lan", "internal/loopback", "internal/timerslack"}}, // a module of its own, held to the same rules
}

// A confinement is a package of others that only some directories may import.
type confinement struct {
	pkg   string // with all below it
	homes []string
}

// confined keeps each library behind the package that is there to hide it.
var confined = []confinement{
	{"github.com/hashicorp/raft", []string{"cluster", "internal/memnet", "internal/clustertest", "internal/bench"}},
	{"github.com/hashicorp/raft-boltdb", []string{"cluster", "internal/memnet", "internal/clustertest", "internal/bench"}},
	{"go.etcd.io/bbolt", []string{"cluster", "internal/memnet", "internal/clustertest", "internal/bench"}},
	{"github.com/hashicorp/go-hclog", []string{"cluster", "httpapi", "cmd/tesd"}},
	{"github.com/gorilla/websocket", []string{"client", "httpapi", "internal/chaos", "internal/bench"}},
	{"go.etcd.io/etcd", []string{"internal/bench"}},
	{"google.golang.org/grpc", []string{"internal/bench"}},
	{"github.com/prometheus", []string{"httpapi", "cmd/tesd"}},
	{"github.com/armon/go-metrics", []string{"cmd/tesd"}},
	{"github.com/santhosh-tekuri", []string{"internal/apicheck"}}, // for tests alone
	{"github.com/spf13", []string{"cmd/tesd"}},
	{"github.com/anishathalye/porcupine", []string{"internal/bumpcheck"}}, // for tests alone
	{"github.com/Masterminds/semver", []string{"cmd/tesd"}},               // versions themselves are fsm's
	{"github.com/hanwen/go-fuse", []string{"internal/powerloss"}},         // for tests alone
	{"testing", []string{"internal", "client/clienttest"}},
}

// checkImports holds every import of a shipped file to the table.
func checkImports(t *tree) []finding {
	var found []finding
	for _, s := range t.shipped() {
		home := homeOf(s.dir)
		if home == "" {
			found = append(found, t.at(s, s.ast.Name.Pos(),
				"directory %s is not in the import table; give it a row in imports_test.go", s.dir))
			continue
		}
		for _, spec := range s.ast.Imports {
			if remedy := table[home].refuses(s.dir, importPath(spec)); remedy != "" {
				found = append(found, t.at(s, spec.Pos(), "%s imports %s: %s", s.dir, importPath(spec), remedy))
			}
		}
	}
	return found
}

// homeOf finds the nearest directory at or above dir that has a row, "" if there is none.
func homeOf(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, ok := table[dir]; ok {
			return dir
		}
	}
	return ""
}

// refuses says what to do instead if dir must not import pkg, and "" if it may.
func (r row) refuses(dir, pkg string) string {
	for _, c := range confined {
		if within(pkg, c.pkg) && !anyWithin(dir, c.homes) {
			return "only " + strings.Join(c.homes, ", ") + " may; go through one of them"
		}
	}
	if target, ours := strings.CutPrefix(pkg, modulePath+"/"); ours {
		home := homeOf(target)
		if home == homeOf(dir) || slices.Contains(r.ours, home) || slices.Contains(r.ours, "*") {
			return ""
		}
		return "the import table does not allow it; move the code, or declare an interface here"
	}
	switch {
	case isStd(pkg) && anyWithin(pkg, r.barred):
		return "the state machine must be the same everywhere; pass what it needs as a value"
	case !isStd(pkg) && r.only != nil && !anyWithin(pkg, r.only):
		return "of other modules it may import only " + strings.Join(r.only, ", ")
	}
	return ""
}

// anyWithin reports whether p is one of roots or lies below one.
func anyWithin(p string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(p, root) })
}
