package archtest_test

import "strings"

// A plant is a module in memory and the places in it, as file:line, that break a rule.
type plant struct {
	name  string
	files map[string]string
	want  []string
}

// planted returns modules that break each rule, and near misses, by the rule's name.
func planted() map[string][]plant {
	return map[string][]plant{
		"ImportsFollowTheTable":         plantedImports(),
		"StateMachineStartsNoGoroutine": plantedGoroutines(),
		"StateMachineNeedsNoMapOrder":   plantedMapOrder(),
		"PackagesHaveComments":          plantedPackageComments(),
		"ExportedNamesHaveComments":     plantedDocComments(),
		"NoInitFunctions":               plantedInits(),
		"NoPackageLevelState":           plantedState(),
		"FilesAreShort":                 plantedFiles(),
		"FunctionsAreShort":             plantedFunctions(),
		"TestsDoNotSleep":               plantedSleeps(),
		"PackageNamesSaySomething":      plantedNames(),
		"MomentsAreMonotonic":           plantedMoments(),
	}
}

// one is a module of one file.
func one(path, text string) map[string]string { return map[string]string{path: text} }

func plantedImports() []plant {
	imports := func(dir, pkg string) map[string]string {
		return one(dir+"/a.go", "package a\n\nimport _ \""+pkg+"\"\n")
	}
	ours := func(dir string) string { return modulePath + "/" + dir }
	var plants []plant
	for _, c := range []struct{ dir, pkg string }{
		{"fsm", "time"}, {"fsm", "sync/atomic"}, {"fsm", "math/rand/v2"}, {"fsm", "os"}, {"fsm", "net/netip"},
		{"fsm", "log/slog"}, {"fsm/codec", "context"}, {"fsm", "github.com/hashicorp/go-metrics"},
		{"fsm", ours("client")}, {"client", ours("fsm")}, {"client", "github.com/spf13/cobra"},
		{"cluster", ours("httpapi")}, {"cluster", ours("client")}, {"httpapi", ours("cmd/tesd")},
		{"httpapi", ours("internal/memnet")}, {"httpapi", "github.com/hashicorp/raft"},
		{"cmd/tesd", "go.etcd.io/bbolt"}, {"cmd/tesd", "github.com/hashicorp/raft-boltdb/v2"},
		{"client", "github.com/hashicorp/go-hclog"}, {"cluster", "github.com/gorilla/websocket"},
		{"cluster", "testing"}, {"client", "testing"}, {"client", ours("client/clienttest")},
		{"cmd/tesd", "go.etcd.io/etcd/client/v3"}, {"internal/bench", ours("fsm")},
		{"internal/e2e", ours("client/clienttest")}, {"client/clienttest", ours("internal/memnet")}, {"internal/feed", ours("cluster")}, {"internal/memnet", ours("internal/feed")},
	} {
		plants = append(plants, plant{c.dir + " imports " + c.pkg, imports(c.dir, c.pkg), []string{c.dir + "/a.go:3"}})
	}
	for _, c := range []struct{ dir, pkg string }{
		{"fsm", "timetable"}, {"fsm", "crypto/sha256"}, {"fsm", "github.com/tidwall/btree"}, {"fsm", ours("fsm/codec")},
		{"client", "github.com/gorilla/websocket"}, {"client", "time"}, {"cluster", ours("fsm")},
		{"cluster", "github.com/hashicorp/raft"}, {"cluster", "github.com/hashicorp/go-metrics/compat"},
		{"httpapi", ours("cluster")}, {"cmd/tesd", ours("httpapi")}, {"internal/clustertest", "testing"},
		{"internal/clustertest", "github.com/hashicorp/raft"}, {"client/clienttest", "testing"},
		{"client/clienttest", ours("client")}, {"client/clienttest", ours("httpapi")}, {"client", ours("client/wire")},
		{"internal/bench", "go.etcd.io/etcd/client/v3"}, {"internal/bench", ours("client")},
	} {
		plants = append(plants, plant{c.dir + " imports " + c.pkg, imports(c.dir, c.pkg), nil})
	}
	return append(plants,
		plant{"unknown directory", imports("internal/stuff", "fmt"), []string{"internal/stuff/a.go:1"}},
		plant{"module root", imports(".", "fmt"), []string{"./a.go:1"}},
		plant{"a test imports what it likes", one("fsm/a_test.go", "package a\n\nimport _ \"time\"\n"), nil},
	)
}

func plantedGoroutines() []plant {
	const text = "package a\n\nfunc f() {\n\tgo f()\n}\n"
	return []plant{
		{"state machine", one("fsm/a.go", text), []string{"fsm/a.go:4"}},
		{"elsewhere", one("cluster/a.go", text), nil},
	}
}

func plantedMapOrder() []plant {
	const text = `package a

import (
	"maps"
	"slices"

	"example.org/foreign"
)

type index map[string]int

func f(m map[string]int, i index, s []int, x foreign.Table) {
	for range m {
	}
	for range i {
	}
	for range s {
	}
	for range x {
	}
	_ = slices.Sorted(maps.Keys(m))
	_ = slices.Collect(maps.Keys(m))
	// any order: a sum is the same whichever way it is added.
	for range m {
	}
	// any order:
	for range m {
	}
}
`
	return []plant{
		{"state machine", one("fsm/a.go", text), []string{"fsm/a.go:13", "fsm/a.go:15", "fsm/a.go:22", "fsm/a.go:27"}},
		{"a map declared in another file", map[string]string{
			"fsm/a.go": "package a\n\nfunc f(t table) {\n\tfor range t.rows {\n\t}\n}\n",
			"fsm/b.go": "package a\n\ntype table struct{ rows map[int]foreign.Row }\n",
		}, []string{"fsm/a.go:4"}},
		{"elsewhere", one("cluster/a.go", text), nil},
	}
}

func plantedPackageComments() []plant {
	return []plant{
		{"no comment", one("fsm/a.go", "package a\n"), []string{"fsm/a.go:1"}},
		{"another beginning", one("fsm/a.go", "// This is it.\npackage a\n"), []string{"fsm/a.go:2"}},
		{"detached", one("fsm/a.go", "// Package a is.\n\npackage a\n"), []string{"fsm/a.go:3"}},
		{"command", one("cmd/x/a.go", "// Package main is.\npackage main\n"), []string{"cmd/x/a.go:2"}},
		{"only in a test", map[string]string{
			"fsm/a.go": "package a\n", "fsm/a_test.go": "// Package a is.\npackage a\n",
		}, []string{"fsm/a.go:1"}},
		{"in one of two files", map[string]string{
			"fsm/a.go": "package a\n", "fsm/doc.go": "// Package a is.\npackage a\n",
		}, nil},
		{"a command's", one("cmd/x/a.go", "// Command x is.\npackage main\n"), nil},
	}
}

func plantedDocComments() []plant {
	const text = `package a

func F() {}

//go:noinline
func G() {}

type T[K any] struct{}

func (T[K]) M() {}

func (*T[K]) N() {}

type (
	U int
	// V is.
	V int
)

const C = 1

var X, y int

// H is.
func H() {}

// W is.
type W int

// Kinds of things.
const (
	D = iota
	E
)

var (
	Z int // Z is.
)

type t int

func (t) M() {}

func f() {}
`
	return []plant{
		{"shipped", one("fsm/a.go", text), []string{
			"fsm/a.go:3", "fsm/a.go:6", "fsm/a.go:8", "fsm/a.go:10", "fsm/a.go:12", "fsm/a.go:15", "fsm/a.go:20", "fsm/a.go:22",
		}},
		{"test", one("fsm/a_test.go", text), nil},
	}
}

func plantedInits() []plant {
	const text = "package a\n\nfunc init() {}\n\ntype t int\n\nfunc (t) init() {}\n"
	return []plant{
		{"shipped", one("fsm/a.go", text), []string{"fsm/a.go:3"}},
		{"test", one("fsm/a_test.go", text), []string{"fsm/a_test.go:3"}},
	}
}

func plantedState() []plant {
	const text = `package a

var n int

var m = map[string]int{}

var s []byte

var p = &t{}

var q = load()

var (
	errA = errors.New("a")
	errB = fmt.Errorf("b: %w", errA)
	re   = regexp.MustCompile("x")

	_ i = t{}
	_   = p

	mixed, also = errors.New("a"), make(chan int)
)

//go:embed page.html
var page string

// colours are the names.
//
// immutable: read only by name.
var colours = map[string]int{}

// immutable: tables of constants.
var (
	a = []int{1}
	b = []int{2}
)

// immutable:
var bare = []int{1}

func f() {
	var local map[string]int
}
`
	const imports = "package a\n\nimport (\n\t\"errors\"\n\t\"fmt\"\n\t\"regexp\"\n)\n"
	shipped := strings.Replace(text, "package a\n", imports, 1)
	return []plant{
		{"shipped", one("fsm/a.go", shipped), []string{
			"fsm/a.go:9", "fsm/a.go:11", "fsm/a.go:13", "fsm/a.go:15", "fsm/a.go:17", "fsm/a.go:27", "fsm/a.go:45",
		}},
		{"test", one("fsm/a_test.go", shipped), nil},
	}
}

func plantedFiles() []plant {
	atMost := "package a\n" + strings.Repeat("\n", maxFileLines-1)
	return []plant{
		{"at most", one("fsm/a.go", atMost), nil},
		{"one more", one("fsm/a.go", atMost+"\n"), []string{"fsm/a.go:451"}},
		{"test", one("fsm/a_test.go", atMost+"\n"), nil},
	}
}

func plantedFunctions() []plant {
	function := func(lines int) string {
		return "package a\n\n// f is.\nfunc f() {" + strings.Repeat("\n", lines-1) + "}\n"
	}
	return []plant{
		{"at most", one("fsm/a.go", function(maxFuncLines)), nil},
		{"one more", one("fsm/a.go", function(maxFuncLines+1)), []string{"fsm/a.go:4"}},
		{"test", one("fsm/a_test.go", function(maxFuncLines+1)), nil},
	}
}

func plantedSleeps() []plant {
	const plain = "package a\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"
	const renamed = "package a\n\nimport clock \"time\"\n\nfunc f() { wait := clock.Sleep; wait(1) }\n"
	const other = "package a\n\nimport \"time\"\n\nfunc f() { disk.Sleep(time.Second) }\n"
	return []plant{
		{"plain", one("fsm/a_test.go", plain), []string{"fsm/a_test.go:5"}},
		{"renamed", one("fsm/a_test.go", renamed), []string{"fsm/a_test.go:5"}},
		{"another Sleep", one("fsm/a_test.go", other), nil},
		{"shipped", one("fsm/a.go", plain), nil},
	}
}

func plantedNames() []plant {
	return []plant{
		{"package", one("fsm/a.go", "package util\n"), []string{"fsm/a.go:1"}},
		{"directory", one("internal/helpers/a.go", "package a\n"), []string{"internal/helpers/a.go:1"}},
		{"test package", one("fsm/a_test.go", "package common_test\n"), []string{"fsm/a_test.go:1"}},
		{"a name", one("fsm/a.go", "package commonmark\n"), nil},
	}
}
