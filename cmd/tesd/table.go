package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// page is the text that a command writes for people.
type page struct {
	out    *bytes.Buffer
	colour bool
	width  int // columns of the terminal that shows it; 0 if none does, and lines may be of any length
}

// line writes a line of text; what comes from elsewhere is made printable.
func (p *page) line(format string, args ...any) {
	p.out.WriteString(printable(fmt.Sprintf(format, args...)))
	p.out.WriteByte('\n')
}

// gap sets what follows off from what was written before, if anything was.
func (p *page) gap() {
	if p.out.Len() > 0 {
		p.out.WriteByte('\n')
	}
}

// table writes rows of cells in aligned columns, with two spaces between them. A header
// of nil leaves it out. Cells are cut if the lines would not fit the terminal.
func (p *page) table(header []string, rows [][]string) {
	all := rows
	if header != nil {
		all = append([][]string{header}, rows...)
	}
	var widths []int
	for _, row := range all {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], displayWidth(printable(cell)))
		}
	}
	fit(widths, p.width)
	for n, row := range all {
		var line strings.Builder
		for i, cell := range row {
			cell = cut(printable(cell), widths[i])
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-displayWidth(cell)+2))
		}
		text := strings.TrimRight(line.String(), " ")
		if p.colour && n == 0 && header != nil {
			text = "\x1b[1m" + text + "\x1b[0m"
		}
		p.out.WriteString(text)
		p.out.WriteByte('\n')
	}
}

// fit takes from the widest columns what a table is wider than a terminal. None becomes so
// narrow by it that it says nothing; the terminal then breaks the lines.
func fit(widths []int, terminal int) {
	const least = 12
	if terminal == 0 || len(widths) == 0 {
		return
	}
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > terminal; total-- {
		widest := slices.Index(widths, slices.Max(widths))
		if widths[widest] <= least {
			return
		}
		widths[widest]--
	}
}

// cut shortens text that takes more columns than width, and shows that it did.
func cut(text string, width int) string {
	if displayWidth(text) <= width {
		return text
	}
	var short strings.Builder
	for _, r := range text {
		if width -= displayWidth(string(r)); width < 1 { // the last one is for the dots
			break
		}
		short.WriteRune(r)
	}
	return short.String() + "…"
}

// facts writes names and values, given in turn, in two columns. Values are never cut: who asks
// for facts may want to copy one.
func (p *page) facts(pairs ...string) {
	var rows [][]string
	for i := 0; i+1 < len(pairs); i += 2 {
		rows = append(rows, []string{pairs[i], pairs[i+1]})
	}
	(&page{out: p.out}).table(nil, rows)
}

// printable replaces what could move the cursor of a terminal or disguise other text.
// Text from a registry was written by anyone.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// printableLines makes each line of s printable.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// displayWidth is how many columns of a terminal s takes: marks none, wide characters two.
func displayWidth(s string) int {
	width := 0
	for _, r := range s {
		switch {
		case r < 0x300:
			width++
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case isWide(r):
			width += 2
		default:
			width++
		}
	}
	return width
}

// isWide reports whether terminals show r in two columns: the blocks of East Asian
// scripts, full-width forms and emoji.
func isWide(r rune) bool {
	switch {
	case r >= 0x1100 && r <= 0x115f, // Hangul Jamo
		r >= 0x2e80 && r <= 0xa4cf && r != 0x303f, // CJK, Kana, Yi
		r >= 0xac00 && r <= 0xd7a3,                // Hangul
		r >= 0xf900 && r <= 0xfaff,                // CJK compatibility
		r >= 0xfe30 && r <= 0xfe6f,                // CJK compatibility forms
		r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f680 && r <= 0x1f6ff, r >= 0x1f900 && r <= 0x1f9ff,
		r >= 0x20000 && r <= 0x3fffd:
		return true
	}
	return false
}
