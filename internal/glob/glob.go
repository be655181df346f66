// Package glob matches ids against patterns in which * stands for any characters, slashes
// among them, and ? for one.
package glob

// Match reports whether the pattern matches the whole of s. It takes time in proportion to
// the product of both lengths at worst.
func Match(pattern, s string) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last * and where what it stands for ends
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0: // let the last * stand for one character more
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
