package fsm_test

import (
	"math/big"
	"regexp"
	"strings"

	"github.com/tesd/tesd/fsm"
)

// refVersion is a version as the contract describes it, read by the expression that
// semver.org recommends, made lenient, and counted in numbers without a limit.
type refVersion struct {
	part       [3]*big.Int
	pre, build string
}

var refPattern = regexp.MustCompile(`^v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?` +
	`(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?` +
	`(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$`)

var refLargest = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 63), big.NewInt(1))

func refParse(s string) (v refVersion, ok bool) {
	match := refPattern.FindStringSubmatch(s)
	if match == nil || strings.Contains(s, "\n") {
		return v, false
	}
	for i := range v.part {
		v.part[i] = new(big.Int)
		if match[i+1] != "" {
			v.part[i].SetString(match[i+1], 10)
		}
		if v.part[i].Cmp(refLargest) > 0 {
			return v, false
		}
	}
	v.pre, v.build = match[4], match[5]
	return v, true
}

func (v refVersion) String() string {
	s := v.part[0].String() + "." + v.part[1].String() + "." + v.part[2].String()
	if v.pre != "" {
		s += "-" + v.pre
	}
	if v.build != "" {
		s += "+" + v.build
	}
	return s
}

// refBump is semver.inc of npm (node-semver, functions/inc.js): the parts below the
// scope become zero, and a pre-release of just that version is one already on the
// way to it. ok is false if the bump would overflow.
func refBump(s string, scope fsm.Scope) (next string, ok bool) {
	v, _ := refParse(s)
	at := int(scope - fsm.Major)
	onTheWay := v.pre != ""
	for i := at + 1; i < 3; i++ {
		if v.part[i].Sign() != 0 {
			onTheWay = false
		}
		v.part[i] = new(big.Int)
	}
	if !onTheWay {
		v.part[at] = new(big.Int).Add(v.part[at], big.NewInt(1))
	}
	v.pre, v.build = "", ""
	return v.String(), v.part[at].Cmp(refLargest) <= 0
}

// refLess is the order of SemVer 2.0.0, item 11.
func refLess(a, b refVersion) bool {
	for i := range a.part {
		if c := a.part[i].Cmp(b.part[i]); c != 0 {
			return c < 0
		}
	}
	if a.pre == "" || b.pre == "" {
		return a.pre != "" && b.pre == ""
	}
	x, y := strings.Split(a.pre, "."), strings.Split(b.pre, ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] == y[i] {
			continue
		}
		m, isNumber := new(big.Int).SetString(x[i], 10)
		n, isNumberToo := new(big.Int).SetString(y[i], 10)
		// SetString takes a sign as well; an identifier with a hyphen is no number.
		isNumber, isNumberToo = isNumber && x[i][0] != '-', isNumberToo && y[i][0] != '-'
		switch {
		case isNumber && isNumberToo:
			return m.Cmp(n) < 0
		case isNumber != isNumberToo:
			return isNumber
		}
		return x[i] < y[i]
	}
	return len(x) < len(y)
}
