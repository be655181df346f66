package glob_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tesd/tesd/internal/glob"
	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b:c", true},
		{"component:*", "component:a/b", true}, {"component:*", "global:component:a", false},
		{"*:main", "global:main", true}, {"*:main", "global:main2", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"**a**", "bab", true}, {"a*a", "a", false},
		{"[a]", "a", false}, {"[a]", "[a]", true}, {"a*b*c", "a1b2b3c", true},
	} {
		if got := glob.Match(c.pattern, c.s); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
}

// TestMatchIsThatOfExpressions compares it with regular expressions.
func TestMatchIsThatOfExpressions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab/*?]{0,8}`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab/]{0,10}`).Draw(t, "s")
		expr := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		if got, want := glob.Match(pattern, s), regexp.MustCompile(`^`+expr+`$`).MatchString(s); got != want {
			t.Fatalf("%q matches %q: %v, want %v", pattern, s, got, want)
		}
	})
}
