package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxPart is the largest number a part of a version may have: 2^63-1, so that
// every version fits the signed integers of the languages that read them.
const maxPart = math.MaxInt64

// ErrOverflow says that a bump would raise a part of a version above 2^63-1.
var ErrOverflow = errors.New("a part of the version would exceed 9223372036854775807")

// Scope says which part of a version a bump raises.
type Scope uint8

// The scopes of a bump. The zero Scope is none of them.
const (
	Major Scope = iota + 1
	Minor
	Patch
)

// ParseScope reads "major", "minor" or "patch". Anything else is an error.
func ParseScope(s string) (Scope, error) {
	switch s {
	case "major":
		return Major, nil
	case "minor":
		return Minor, nil
	case "patch":
		return Patch, nil
	}
	return 0, fmt.Errorf("scope %q is not major, minor or patch", s)
}

// String returns the scope's name as [ParseScope] reads it.
func (s Scope) String() string {
	switch s {
	case Major:
		return "major"
	case Minor:
		return "minor"
	case Patch:
		return "patch"
	}
	return "scope(" + strconv.Itoa(int(s)) + ")"
}

// Version is a semantic version, read leniently and written strictly.
type Version struct {
	Major, Minor, Patch uint64
	Pre                 string // dot-separated pre-release identifiers, without the hyphen
	Build               string // dot-separated build identifiers, without the plus
}

// ParseVersion reads a version: an optional "v", one to three numeric parts that
// may have leading zeros, and an optional pre-release and build as SemVer 2.0.0
// defines them. Missing parts are zero. Anything else is an error, never a guess.
func ParseVersion(s string) (Version, error) {
	v, err := parseVersion(s)
	if err != nil {
		return Version{}, fmt.Errorf("version %s: %w", quoteShort(s), err)
	}
	return v, nil
}

func parseVersion(s string) (v Version, err error) {
	s = strings.TrimPrefix(s, "v")
	if rest, build, ok := strings.Cut(s, "+"); ok {
		if err := checkIdentifiers(build, false); err != nil {
			return v, fmt.Errorf("build: %w", err)
		}
		s, v.Build = rest, build
	}
	if rest, pre, ok := strings.Cut(s, "-"); ok {
		if err := checkIdentifiers(pre, true); err != nil {
			return v, fmt.Errorf("pre-release: %w", err)
		}
		s, v.Pre = rest, pre
	}
	parts := [3]*uint64{&v.Major, &v.Minor, &v.Patch}
	for i := 0; ; i++ {
		part, rest, more := strings.Cut(s, ".")
		if i == len(parts) {
			return v, errors.New("more than three numeric parts")
		}
		if *parts[i], err = parsePart(part); err != nil {
			return v, err
		}
		if !more {
			return v, nil
		}
		s = rest
	}
}

// parsePart reads a decimal number of at most 2^63-1, leading zeros allowed.
func parsePart(s string) (uint64, error) {
	if s == "" {
		return 0, errors.New("a numeric part is empty")
	}
	var n uint64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("part %s is not a number", quoteShort(s))
		}
		digit := uint64(s[i] - '0')
		if n > (maxPart-digit)/10 {
			return 0, fmt.Errorf("part %s is above 9223372036854775807", quoteShort(s))
		}
		n = n*10 + digit
	}
	return n, nil
}

// checkIdentifiers holds a pre-release or build to SemVer 2.0.0, items 9 and 10:
// non-empty identifiers of [0-9A-Za-z-], numeric ones of a pre-release without
// leading zeros.
func checkIdentifiers(s string, pre bool) error {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" {
			return errors.New("an identifier is empty")
		}
		for i := 0; i < len(id); i++ {
			if !isAlnum(id[i]) && id[i] != '-' {
				return fmt.Errorf("identifier %s has a character outside [0-9A-Za-z-]", quoteShort(id))
			}
		}
		if pre && len(id) > 1 && id[0] == '0' && isNumeric(id) {
			return fmt.Errorf("numeric identifier %s has a leading zero", quoteShort(id))
		}
	}
	return nil
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isNumeric(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// String writes the version as strict SemVer 2.0.0.
func (v Version) String() string {
	b := make([]byte, 0, 24)
	b = strconv.AppendUint(b, v.Major, 10)
	b = strconv.AppendUint(append(b, '.'), v.Minor, 10)
	b = strconv.AppendUint(append(b, '.'), v.Patch, 10)
	if v.Pre != "" {
		b = append(append(b, '-'), v.Pre...)
	}
	if v.Build != "" {
		b = append(append(b, '+'), v.Build...)
	}
	return string(b)
}

// Bump raises v by scope as npm's semver.inc does: a pre-release of the version
// that the scope would reach becomes that version. Pre-release and build are
// dropped. It returns [ErrOverflow] when the part to raise is 2^63-1.
func (v Version) Bump(scope Scope) (Version, error) {
	release := v.Pre == ""
	raise := func(part uint64, needed bool) (uint64, error) {
		if !needed {
			return part, nil
		}
		if part >= maxPart {
			return 0, ErrOverflow
		}
		return part + 1, nil
	}
	var next Version
	var err error
	switch scope {
	case Major:
		next.Major, err = raise(v.Major, release || v.Minor != 0 || v.Patch != 0)
	case Minor:
		next.Major = v.Major
		next.Minor, err = raise(v.Minor, release || v.Patch != 0)
	case Patch:
		next.Major, next.Minor = v.Major, v.Minor
		next.Patch, err = raise(v.Patch, release)
	default:
		err = fmt.Errorf("unknown %v", scope)
	}
	if err != nil {
		return Version{}, err
	}
	return next, nil
}

// Compare orders versions by SemVer 2.0.0 precedence (item 11): -1, 0 or +1.
// Build metadata does not count.
func (v Version) Compare(w Version) int {
	if c := cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch)); c != 0 {
		return c
	}
	switch {
	case v.Pre == w.Pre:
		return 0
	case v.Pre == "":
		return 1
	case w.Pre == "":
		return -1
	}
	a, b := strings.Split(v.Pre, "."), strings.Split(w.Pre, ".")
	for i := 0; i < len(a) && i < len(b); i++ {
		if c := compareIdentifiers(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareIdentifiers orders pre-release identifiers: numeric ones by value and
// below the others, which go bytewise. Numeric identifiers have no leading zeros,
// so the longer is the larger.
func compareIdentifiers(a, b string) int {
	switch na, nb := isNumeric(a), isNumeric(b); {
	case na && nb:
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	case na:
		return -1
	case nb:
		return 1
	}
	return strings.Compare(a, b)
}

// IsStrict reports whether s is a version in the one form that tesd writes:
// strict SemVer 2.0.0 with parts up to 2^63-1.
func IsStrict(s string) bool {
	v, err := parseVersion(s)
	return err == nil && v.String() == s
}

// quoteShort quotes s for a message, cut to a length that a person reads.
func quoteShort(s string) string {
	const most = 64
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}
