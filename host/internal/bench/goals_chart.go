package main

import "fmt"

// Measures of the chart of goals, in pixels and in multiples of a goal.
const (
	goalLabelWidth = 470
	goalWidth      = 300 // of the longest bar
	goalMost       = 2.0 // what is further from the goal is drawn as if it were so far
	goalHeader     = 84
)

const (
	metColor    = "#3a9d5d"
	missedColor = "#c8402f"
)

// renderGoalsChart draws each goal's figure in multiples of the goal as an SVG, with a line where the goal is.
func renderGoalsChart(r *result) []byte {
	width := 2*chartMargin + goalLabelWidth + goalWidth + 150
	height := goalHeader + rowHeight*len(r.Goals) + chartMargin
	left := float64(chartMargin + goalLabelWidth)
	c := &canvas{}
	c.begin(width, height, "Goals")
	c.text(chartMargin, 34, `font-size="18" font-weight="600" fill="`+inkColor+`"`, "Goals")
	c.text(chartMargin, 54, `font-size="12" fill="`+faintColor+`"`,
		fmt.Sprintf("measured, in multiples of the goal; less is better; median of %s; dashed line: the goal", plural(r.Rounds, "round")))
	for i, g := range r.Goals {
		middle := goalHeader + rowHeight*(float64(i)+0.5)
		c.text(left-10, middle+4, `text-anchor="end" fill="`+inkColor+`"`, g.Name)
		if g.Rounds == 0 {
			c.text(left+6, middle+4, `font-size="12" fill="`+faintColor+`"`, "not measured")
			continue
		}
		color := missedColor
		if g.met() {
			color = metColor
		}
		bar := min(max(g.Measured/g.AtMost, 0), goalMost) / goalMost * goalWidth
		c.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", left, middle-barHeight/2.0, bar, barHeight, color)
		c.text(left+bar+6, middle+4, `font-size="12" fill="`+inkColor+`"`, fmt.Sprintf("%.2f of %g %s", g.Measured, g.AtMost, g.Unit))
	}
	at := left + goalWidth/goalMost
	c.line(at, goalHeader-8, at, goalHeader+rowHeight*float64(len(r.Goals)), baselineColor, ` stroke-dasharray="3 3"`)
	c.printf("</svg>\n")
	return c.Bytes()
}
