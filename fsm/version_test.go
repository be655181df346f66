package fsm_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tesd/tesd/fsm"
	"pgregory.net/rapid"
)

// largest is 2^63-1, the most that a part of a version may be.
const largest = "9223372036854775807"

func TestParseVersionIsLenient(t *testing.T) {
	for given, want := range map[string]string{
		"1": "1.0.0", "1.0": "1.0.0", "1.0.0": "1.0.0", "v1.2.3": "1.2.3", "v3": "3.0.0",
		"2.1.02": "2.1.2", "007.08.0009": "7.8.9", "0": "0.0.0",
		"1.2.3-rc.1": "1.2.3-rc.1", "1-rc": "1.0.0-rc", "1.2.3-0": "1.2.3-0", "1.2.3--": "1.2.3--", "1.2.3-0a.b-c": "1.2.3-0a.b-c",
		"1.2.3+build.007": "1.2.3+build.007", "1.2+b-1": "1.2.0+b-1", "1.2.3-rc.1+a-b.c": "1.2.3-rc.1+a-b.c",
		largest + "." + largest + "." + largest: largest + "." + largest + "." + largest,
		"000" + largest:                         largest + ".0.0",
		"1.0.0-99999999999999999999999":         "1.0.0-99999999999999999999999",
	} {
		v, err := fsm.ParseVersion(given)
		if err != nil || v.String() != want {
			t.Errorf("ParseVersion(%q) = %q, %v, want %q", given, v, err, want)
		}
	}
}

func TestParseVersionNeverGuesses(t *testing.T) {
	for _, given := range []string{
		"", "v", "V1.0.0", "vv1", "1.2.x", "1.x", "*", "latest", "-1.0.0", "+1", "1.-2.3", "1.2.3.4", "1..2", ".1", "1.", "1.2.",
		" 1.0.0", "1.0.0 ", "1.0.0\n", "1,0", "1e3", "0x10", "=1.0.0", "^1.0.0", "~1.2", "1.0.0-", "1.0.0+", "1.0.0-+b", "1.0.0-a..b",
		"1.0.0-01", "1.0.0-a.00", "1.0.0-é", "1.0.0+a+b", "1.0.0+a..b", "1.0.0-a_b", "１.0.0", "1.0.0\x00",
		"9223372036854775808", "1.9223372036854775808.0", "1.0.18446744073709551616", "1.0.99999999999999999999999",
	} {
		if v, err := fsm.ParseVersion(given); err == nil {
			t.Errorf("ParseVersion(%q) = %q, want an error", given, v)
		}
		if fsm.IsStrict(given) {
			t.Errorf("IsStrict(%q) is true", given)
		}
	}
	_, err := fsm.ParseVersion(strings.Repeat("x", 100_000))
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("the error for a text of 100,000 bytes has %d", len(err.Error()))
	}
}

func TestIsStrict(t *testing.T) {
	for s, want := range map[string]bool{
		"1.0.0": true, "0.0.0": true, "1.2.3-rc.1+b.01": true,
		"1.0": false, "v1.0.0": false, "1.0.00": false, "01.0.0": false, "latest": false,
	} {
		if got := fsm.IsStrict(s); got != want {
			t.Errorf("IsStrict(%q) = %v", s, got)
		}
	}
}

// The rows are those of the contract, of node-semver's test/fixtures/increments.js
// (major, minor and patch), and of the corners.
func TestBump(t *testing.T) {
	for _, row := range []struct{ from, major, minor, patch string }{
		{"1.0", "2.0.0", "1.1.0", "1.0.1"},
		{"2.1.02", "3.0.0", "2.2.0", "2.1.3"},
		{"v1.2.3", "2.0.0", "1.3.0", "1.2.4"},
		{"1.2.3-rc.1", "2.0.0", "1.3.0", "1.2.3"},
		{"2.0.0-beta.2", "2.0.0", "2.0.0", "2.0.0"},
		{"1.2.3", "2.0.0", "1.3.0", "1.2.4"},
		{"1.2.3-tag", "2.0.0", "1.3.0", "1.2.3"},
		{"1.2.3-4", "2.0.0", "1.3.0", "1.2.3"},
		{"1.2.3-alpha.0.beta", "2.0.0", "1.3.0", "1.2.3"},
		{"1.2.0-0", "2.0.0", "1.2.0", "1.2.0"},
		{"1.3.0-beta", "2.0.0", "1.3.0", "1.3.0"},
		{"4.0.0-3", "4.0.0", "4.0.0", "4.0.0"},
		{"1.2.3+build", "2.0.0", "1.3.0", "1.2.4"},
		{"1.2.3-rc.1+build", "2.0.0", "1.3.0", "1.2.3"},
		{"0.0.0", "1.0.0", "0.1.0", "0.0.1"},
		{"3", "4.0.0", "3.1.0", "3.0.1"},
		{largest, "overflow", largest + ".1.0", largest + ".0.1"},
		{"1." + largest + "." + largest, "2.0.0", "overflow", "overflow"},
		{"0.0." + largest + "-rc", "1.0.0", "0.1.0", "0.0." + largest},
		{largest + ".0.0-rc", largest + ".0.0", largest + ".0.0", largest + ".0.0"},
	} {
		for scope, want := range map[fsm.Scope]string{fsm.Major: row.major, fsm.Minor: row.minor, fsm.Patch: row.patch} {
			v, err := fsm.ParseVersion(row.from)
			if err != nil {
				t.Fatal(err)
			}
			next, err := v.Bump(scope)
			got := next.String()
			if errors.Is(err, fsm.ErrOverflow) {
				got = "overflow"
			} else if err != nil {
				t.Error(err)
			}
			if got != want {
				t.Errorf("%s %v = %s, want %s", row.from, scope, got, want)
			}
		}
	}
	if _, err := (fsm.Version{}).Bump(0); err == nil || errors.Is(err, fsm.ErrOverflow) {
		t.Errorf("a bump by the zero scope gave %v", err)
	}
}

func TestScopeNames(t *testing.T) {
	for _, name := range []string{"major", "minor", "patch"} {
		if s, err := fsm.ParseScope(name); err != nil || s.String() != name {
			t.Errorf("ParseScope(%q) = %v, %v", name, s, err)
		}
	}
	for _, name := range []string{"", "Major", "premajor", "prerelease", "patch "} {
		if s, err := fsm.ParseScope(name); err == nil {
			t.Errorf("ParseScope(%q) = %v", name, s)
		}
	}
}

// The order of semver.org, item 11, smallest first.
func TestCompareFollowsTheSpecification(t *testing.T) {
	order := []string{"0.0.0-0", "0.0.0", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-100000000000000000000", "1.0.0--", "1.0.0-A", "1.0.0-alpha",
		"1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"}
	for i, a := range order {
		for j, b := range order {
			v, _ := fsm.ParseVersion(a)
			w, _ := fsm.ParseVersion(b + "+build")
			want := 0
			if i != j {
				want = 1
				if i < j {
					want = -1
				}
			}
			if got := v.Compare(w); got != want {
				t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
			}
		}
	}
}

// versionText draws texts that are versions, or nearly.
func versionText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`v?[0-9]{1,3}(\.[0-9]{1,3}){0,2}(-[0-9a-zA-Z-]{1,4}(\.[0-9a-zA-Z-]{1,3}){0,2})?(\+[0-9a-z-]{1,4}(\.[0-9a-z]{1,3})?)?`),
		rapid.StringMatching(`[v0-9.+-]{0,24}`),
		rapid.StringMatching(`[0-9]{17,20}\.922337203685477580[0-9]`),
		rapid.String(),
	)
}

func TestVersionAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := versionText().Draw(t, "version")
		want, ok := refParse(s)
		v, err := fsm.ParseVersion(s)
		if ok != (err == nil) {
			t.Fatalf("ParseVersion(%q) = %v, %v; the reference says %v", s, v, err, ok)
		}
		if !ok {
			return
		}
		if v.String() != want.String() || !fsm.IsStrict(v.String()) {
			t.Fatalf("String of %q is %q, the reference says %q", s, v, want)
		}
		if again, err := fsm.ParseVersion(v.String()); err != nil || again != v {
			t.Fatalf("%q read back is %+v, %v, was %+v", v, again, err, v)
		}
		scope := rapid.SampledFrom([]fsm.Scope{fsm.Major, fsm.Minor, fsm.Patch}).Draw(t, "scope")
		next, err := v.Bump(scope)
		wantNext, fits := refBump(s, scope)
		switch {
		case errors.Is(err, fsm.ErrOverflow) != !fits:
			t.Fatalf("%q %v = %v; the reference says it fits: %v", s, scope, err, fits)
		case fits && next.String() != wantNext:
			t.Fatalf("%q %v = %q, the reference says %q", s, scope, next, wantNext)
		case fits && (next.Compare(v) <= 0 || !fsm.IsStrict(next.String())):
			t.Fatalf("%q %v = %q, which is not strict and greater", s, scope, next)
		}
	})
}

func TestCompareAgainstReference(t *testing.T) {
	pre := rapid.StringMatching(`1(\.[01])?(-(a|0|1|2|10|-|a-|A)(\.(a|b|0|1|11)){0,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := pre.Draw(t, "a"), pre.Draw(t, "b"), pre.Draw(t, "c")
		checkOrder(t, a, b, c)
		x, _ := refParse(a)
		y, _ := refParse(b)
		v, _ := fsm.ParseVersion(a)
		w, _ := fsm.ParseVersion(b)
		if got := v.Compare(w) < 0; got != refLess(x, y) {
			t.Fatalf("%q < %q is %v", a, b, got)
		}
	})
}

// checkOrder holds Compare to the laws of a total order.
func checkOrder(t interface{ Fatalf(string, ...any) }, a, b, c string) {
	x, _ := fsm.ParseVersion(a)
	y, _ := fsm.ParseVersion(b)
	z, _ := fsm.ParseVersion(c)
	if x.Compare(x) != 0 || x.Compare(y) != -y.Compare(x) {
		t.Fatalf("Compare of %q and %q is not antisymmetric", a, b)
	}
	if x.Compare(y) <= 0 && y.Compare(z) <= 0 && x.Compare(z) > 0 {
		t.Fatalf("%q ≤ %q ≤ %q but not %[1]q ≤ %[3]q", a, b, c)
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, s := range []string{"1", "v1.2.3-rc.1+b", "2.1.02", "1.2.x", "-1.0.0", largest, "1.0.0-0a.--.9"} {
		f.Add(s, "1.0.0", "1.0.0-a")
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		v, err := fsm.ParseVersion(a)
		if _, ok := refParse(a); ok != (err == nil) {
			t.Fatalf("ParseVersion(%q) = %v, the reference says %v", a, err, ok)
		}
		checkOrder(t, a, b, c)
		if err != nil {
			return
		}
		again, err := fsm.ParseVersion(v.String())
		if err != nil || again != v || !fsm.IsStrict(v.String()) {
			t.Fatalf("%q written as %q reads as %+v, %v", a, v, again, err)
		}
	})
}
