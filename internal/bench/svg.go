package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// Measures of a chart, in pixels. Which font there is, nobody knows, so texts have room for a wide one.
const (
	chartWidth = 820
	chartEdge  = 24
	letter     = 7.5 // the width of one, at most on average
	titleRow   = 26
	barRow     = 24
	barHeight  = 16
	axisRow    = 30
	groupGap   = 18
	noteRow    = 18
	valueRoom  = 150 // right of the longest bar
)

// chartStyle has colours for light and dark surroundings, each with a ground of its own, so that
// nothing depends on what is behind the picture.
const chartStyle = `<style>
text { font-family: system-ui, sans-serif; font-size: 13px; fill: #1f2933; }
.title { font-size: 16px; font-weight: 600; }
.group { font-weight: 600; }
.faint { font-size: 12px; fill: #52606d; }
.ground { fill: #ffffff; stroke: #cbd2d9; }
.grid { stroke: #e4e7eb; }
.axis { stroke: #7b8794; }
.ours { fill: #2166c2; }
.other { fill: #a3adb8; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.faint { fill: #9fb0c0; }
.ground { fill: #12181f; stroke: #364250; }
.grid { stroke: #27313c; }
.axis { stroke: #7b8794; }
.ours { fill: #58a0f0; }
.other { fill: #65727f; }
}
</style>
`

// svg draws the chart.
func (c *chart) svg() []byte {
	names := 0
	for _, g := range c.groups {
		for _, b := range g.bars {
			names = max(names, len([]rune(b.name)))
		}
	}
	d := &drawing{left: chartEdge + int(float64(names)*letter) + 10, y: chartEdge}
	d.y += 14
	d.text(chartEdge, d.y, "title", "start", c.title)
	d.y += 10
	for _, note := range c.notes {
		d.y += noteRow
		d.text(chartEdge, d.y, "faint", "start", note)
	}
	d.y += groupGap
	for _, g := range c.groups {
		d.group(g, c.unit)
	}
	var all bytes.Buffer
	fmt.Fprintf(&all, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d">`+"\n",
		chartWidth, d.y)
	fmt.Fprintf(&all, "<title id=\"t\">%s</title>\n%s", html.EscapeString(c.title), chartStyle)
	fmt.Fprintf(&all, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", chartWidth-1, d.y-1)
	all.Write(d.out.Bytes())
	all.WriteString("</svg>\n")
	return all.Bytes()
}

// A drawing grows downwards.
type drawing struct {
	out  bytes.Buffer
	left int // where bars begin
	y    int // down to where it is drawn
}

// group draws bars and their axis.
func (d *drawing) group(g barGroup, unit string) {
	d.text(chartEdge, d.y+14, "group", "start", g.title)
	d.y += titleRow
	longest := 0.0
	for _, b := range g.bars {
		longest = max(longest, b.value)
	}
	width := float64(chartWidth - chartEdge - valueRoom - d.left)
	step := tickStep(longest)
	at := func(v float64) int { return d.left + int(math.Round(v/longest*width)) }
	bottom := d.y + len(g.bars)*barRow
	for i := range int(longest/step) + 1 {
		class, x := "grid", at(float64(i)*step)
		if i == 0 {
			class = "axis"
		}
		fmt.Fprintf(&d.out, `<path class="%s" d="M%d.5 %dV%d"/>`+"\n", class, x, d.y, bottom+4)
		d.text(x, bottom+18, "faint", "middle", thousands(float64(i)*step))
	}
	d.text(chartWidth-chartEdge, bottom+18, "faint", "end", unit)
	for _, b := range g.bars {
		class := "other"
		if b.ours {
			class = "ours"
		}
		base := d.y + barRow/2 + 5
		d.text(d.left-10, base, "", "end", b.name)
		fmt.Fprintf(&d.out, `<rect class="%s" x="%d" y="%d" width="%d" height="%d"/>`+"\n",
			class, d.left+1, d.y+(barRow-barHeight)/2, max(1, at(b.value)-d.left), barHeight)
		d.text(at(b.value)+8, base, "", "start", thousands(b.value))
		if b.note != "" {
			d.text(chartWidth-chartEdge, base, "faint", "end", b.note)
		}
		d.y += barRow
	}
	d.y += axisRow + groupGap
}

// text writes at a point; anchor says which end of the text that is.
func (d *drawing) text(x, y int, class, anchor, text string) {
	attributes := ""
	if class != "" {
		attributes += ` class="` + class + `"`
	}
	if anchor != "start" {
		attributes += ` text-anchor="` + anchor + `"`
	}
	fmt.Fprintf(&d.out, "<text x=\"%d\" y=\"%d\"%s>%s</text>\n", x, y, attributes, html.EscapeString(text))
}

// tickStep is a round distance between the marks of an axis, so that there are two to five beside the zero.
func tickStep(longest float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(longest)))
	for _, part := range []float64{0.2, 0.5, 1} {
		if longest <= 5*part*power {
			return part * power
		}
	}
	return 2 * power
}

// thousands writes a number without places, and with commas.
func thousands(v float64) string {
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	var parts []string
	for len(digits) > 3 {
		parts = append([]string{digits[len(digits)-3:]}, parts...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, parts...), ",")
}
