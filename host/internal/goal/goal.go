// Package goal holds figures against what they have to be, as the programs that measure do.
package goal

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Goal is a figure and what it has to be.
type Goal struct {
	What     string
	Measured float64
	Unit     string
	Bound    float64
	Least    bool // the bound is the least, not the most
}

// Met reports whether the figure is within its bound.
func (g Goal) Met() bool { return g.Measured >= g.Bound == g.Least || g.Measured == g.Bound }

// Print writes a table of goals, and reports whether all are met.
func Print(out io.Writer, goals []Goal) (met bool, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "goal\tmeasured\tbound\tmet")
	met = true
	for _, g := range goals {
		sign := "at most"
		if g.Least {
			sign = "at least"
		}
		fmt.Fprintf(w, "%s\t%.1f %s\t%s %.0f %s\t%t\n", g.What, g.Measured, g.Unit, sign, g.Bound, g.Unit, g.Met())
		met = met && g.Met()
	}
	return met, w.Flush()
}
