package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
)

// Measures of the chart, in pixels.
const (
	chartMargin  = 24
	labelWidth   = 104 // the targets' names, left of the first panel
	panelWidth   = 300
	panelGap     = 28
	valueSpace   = 52 // right of the longest bar, for its figure
	rowHeight    = 26
	barHeight    = 15
	minWidth     = 640 // for the title and what stands below it
	headerHeight = 108 // title, two lines below it and the panels' titles
	footerHeight = 58  // axis and its name
)

const (
	inkColor      = "#1f2937"
	faintColor    = "#6b7280"
	gridColor     = "#e5e7eb"
	peerColor     = "#9fb3c8"
	ergoColor     = "#e4572e"
	whiskerColor  = "#374151"
	baselineColor = "#2f6f9f"
)

// renderChart draws CPU time per request as an SVG: a panel for each scenario, a bar for each proxy with a
// whisker from the least to the most of the rounds, and a line at the baseline.
func renderChart(r *result) []byte {
	targets := charted(r)
	height := headerHeight + rowHeight*len(targets) + footerHeight
	scenarios := slices.DeleteFunc(slices.Clone(r.Scenarios), func(name string) bool { return name == slowScenario || name == idleScenario })
	width := max(minWidth, 2*chartMargin+labelWidth+len(scenarios)*(panelWidth+panelGap)-panelGap)
	c := &canvas{}
	c.begin(width, height, "CPU time per request")
	c.text(chartMargin, 34, `font-size="18" font-weight="600" fill="`+inkColor+`"`, "CPU time per request of the whole proxy")
	c.text(chartMargin, 54, `font-size="12" fill="`+faintColor+`"`,
		fmt.Sprintf("less is better; median of %s, whiskers from least to most; dashed line: %s", plural(r.Rounds, "round"), baseline))
	c.text(chartMargin, 71, `font-size="12" fill="`+faintColor+`"`, r.Machine.String())
	for i, name := range targets {
		weight := "400"
		if isErgo(name) {
			weight = "600"
		}
		c.text(chartMargin+labelWidth-10, rowMiddle(i)+4, `text-anchor="end" font-weight="`+weight+`" fill="`+inkColor+`"`, name)
	}
	for i, scenario := range scenarios {
		p := panel{canvas: c, left: float64(chartMargin + labelWidth + i*(panelWidth+panelGap)), targets: targets, rows: r.rows(scenario)}
		p.draw(scenarioTitle(scenario))
	}
	c.printf("</svg>\n")
	return c.Bytes()
}

// charted are the names of the targets with a proxy, in order.
func charted(r *result) []string {
	var names []string
	for _, t := range r.Targets {
		if t.Name != direct {
			names = append(names, t.Name)
		}
	}
	return names
}

func isErgo(name string) bool { return target{name: name}.family() == "ergo" }

func rowMiddle(i int) float64 { return headerHeight + rowHeight*(float64(i)+0.5) }

// panel is one scenario's part of the chart.
type panel struct {
	*canvas
	left    float64
	targets []string
	rows    []row
	scale   float64 // pixels a microsecond
}

func (p *panel) draw(title string) {
	p.text(p.left, headerHeight-12, `font-weight="600" fill="`+inkColor+`"`, title)
	most := 0.0
	for _, r := range p.rows {
		most = max(most, r.cpu.max)
	}
	if most == 0 {
		p.text(p.left, rowMiddle(0)+4, `fill="`+faintColor+`"`, "not measured")
		return
	}
	p.scale = (panelWidth - valueSpace) / most
	p.drawAxis(most)
	for i, name := range p.targets {
		for _, r := range p.rows {
			if r.target.Name == name {
				p.drawBar(rowMiddle(i), r)
			}
		}
	}
	p.drawBaseline()
}

func (p *panel) bottom() float64 { return headerHeight + rowHeight*float64(len(p.targets)) }

// drawAxis draws the vertical grid with its figures below.
func (p *panel) drawAxis(most float64) {
	step := niceStep(most)
	for i := 0; float64(i)*step <= most; i++ {
		x := p.left + float64(i)*step*p.scale
		p.line(x, headerHeight, x, p.bottom(), gridColor, "")
		p.text(x, p.bottom()+18, `text-anchor="middle" font-size="11" fill="`+faintColor+`"`, fmt.Sprintf("%g", float64(i)*step))
	}
	p.text(p.left, p.bottom()+38, `font-size="11" fill="`+faintColor+`"`, "microseconds per request")
}

func (p *panel) drawBar(middle float64, r row) {
	color := peerColor
	if isErgo(r.target.Name) {
		color = ergoColor
	}
	p.printf(`<rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n",
		p.left, middle-barHeight/2.0, r.cpu.median*p.scale, barHeight, color)
	low, high := p.left+r.cpu.min*p.scale, p.left+r.cpu.max*p.scale
	p.line(low, middle, high, middle, whiskerColor, "")
	p.line(low, middle-4, low, middle+4, whiskerColor, "")
	p.line(high, middle-4, high, middle+4, whiskerColor, "")
	p.text(high+6, middle+4, `font-size="12" fill="`+inkColor+`"`, fmt.Sprintf("%.1f", r.cpu.median))
}

// drawBaseline draws the line that the ratios in the table are about.
func (p *panel) drawBaseline() {
	for _, r := range p.rows {
		if r.target.Name == baseline {
			x := p.left + r.cpu.median*p.scale
			p.line(x, headerHeight, x, p.bottom(), baselineColor, ` stroke-dasharray="3 3"`)
		}
	}
}

// niceStep is a distance of 1, 2 or 5 times a power of ten that divides most into three to seven parts.
func niceStep(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/3)))
	for _, factor := range []float64{5, 2} {
		if most/(factor*power) >= 3 {
			return factor * power
		}
	}
	return power
}

// canvas collects the text of an SVG.
type canvas struct{ bytes.Buffer }

// begin starts a picture of that size on white ground.
func (c *canvas) begin(width, height int, title string) {
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" role="img">`+"\n", width, height, width, height)
	c.printf("<title>%s</title>\n", title)
	c.printf(`<rect width="100%%" height="100%%" fill="#ffffff"/>` + "\n")
}

func (c *canvas) printf(format string, arguments ...any) { fmt.Fprintf(c, format, arguments...) }

// text writes label, escaped, at x, y; attributes are written as they are.
func (c *canvas) text(x, y float64, attributes, label string) {
	c.printf(`<text x="%.1f" y="%.1f" %s>`, x, y, attributes)
	_ = xml.EscapeText(c, []byte(label)) // a buffer takes everything
	c.printf("</text>\n")
}

func (c *canvas) line(x1, y1, x2, y2 float64, color, attributes string) {
	c.printf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"%s/>`+"\n", x1, y1, x2, y2, color, attributes)
}
