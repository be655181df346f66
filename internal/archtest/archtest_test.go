package archtest_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A rule is something every file of the module is held to.
type rule struct {
	name  string
	check func(*tree) []finding
}

// rules returns all rules; the name of each is that of its test.
func rules() []rule {
	return []rule{
		{"ImportsFollowTheTable", checkImports},
		{"StateMachineStartsNoGoroutine", checkNoGoroutine},
		{"StateMachineNeedsNoMapOrder", checkNoMapOrder},
		{"PackagesHaveComments", checkPackageComments},
		{"ExportedNamesHaveComments", checkDocComments},
		{"NoInitFunctions", checkNoInit},
		{"NoPackageLevelState", checkNoGlobalState},
		{"FilesAreShort", checkFileLength},
		{"FunctionsAreShort", checkFuncLength},
		{"TestsDoNotSleep", checkNoSleep},
		{"PackageNamesSaySomething", checkPackageNames},
		{"MomentsAreMonotonic", checkNoUnixNow},
	}
}

// TestRules holds the module to each rule.
func TestRules(t *testing.T) {
	module, err := readModule()
	if err != nil {
		t.Fatal(err)
	}
	// A walk that went astray would find nothing wrong with nothing.
	for _, want := range []string{"internal/archtest/doc.go", "internal/archtest/archtest_test.go"} {
		if !slices.ContainsFunc(module.files, func(s *source) bool { return s.path == want }) {
			t.Fatalf("the module was not read: %s is missing", want)
		}
	}
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range r.check(module) {
				t.Error(f)
			}
		})
	}
}

// TestRulesCatchViolations feeds each rule small modules that break it, and some that
// do not, and expects exactly the lines that are marked.
func TestRulesCatchViolations(t *testing.T) {
	cases := planted()
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			caught := 0
			for _, c := range cases[r.name] {
				module, err := parseTree(c.files)
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				var got []string
				for _, f := range r.check(module) {
					got = append(got, fmt.Sprintf("%s:%d", f.path, f.line))
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: findings (-want +got):\n%s", c.name, diff)
				}
				caught += len(got)
			}
			if caught == 0 {
				t.Error("no planted violation was caught; add one to planted")
			}
		})
	}
	if len(cases) != len(rules()) {
		t.Errorf("violations are planted for %d rules, but there are %d", len(cases), len(rules()))
	}
}
