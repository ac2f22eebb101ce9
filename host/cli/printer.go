package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// printer writes for people: aligned, and in colour if w is a terminal that
// takes it and NO_COLOR does not forbid it.
type printer struct {
	w                            io.Writer
	bold, dim, good, bad, accent lipgloss.Style
}

func newPrinter(w io.Writer) *printer {
	style := lipgloss.NewRenderer(w).NewStyle // knows the terminal and NO_COLOR
	return &printer{
		w:      w,
		bold:   style().Bold(true),
		dim:    style().Faint(true),
		good:   style().Foreground(lipgloss.Color("2")),
		bad:    style().Foreground(lipgloss.Color("1")).Bold(true),
		accent: style().Foreground(lipgloss.Color("6")),
	}
}

// failure prints an error; the problems of a manifest one on a line.
func (p *printer) failure(err error) {
	var problems manifest.Problems
	if !errors.As(err, &problems) {
		fmt.Fprintln(p.w, p.bad.Render("error:"), err)
		return
	}
	for _, problem := range problems {
		p.problem(problem)
	}
	fmt.Fprintln(p.w, p.bad.Render(count(len(problems), "problem")))
}

func (p *printer) problem(at manifest.Problem) {
	at.File = nearby(at.File)
	whole := at.String()
	place := fmt.Sprintf("%s:%d:%d:", at.File, at.Line, at.Column)
	rest, ok := strings.CutPrefix(whole, place)
	if !ok {
		fmt.Fprintln(p.w, whole)
		return
	}
	fmt.Fprintln(p.w, p.bold.Render(place)+rest)
}

// nearby returns a path from the working directory if the file is below it.
func nearby(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(relative) {
		return relative
	}
	return path
}

// table prints rows under a head, columns aligned; cells may be coloured.
func (p *printer) table(head []string, rows [][]string) {
	widths := make([]int, len(head))
	for i, title := range head {
		widths[i] = lipgloss.Width(title)
		for _, row := range rows {
			widths[i] = max(widths[i], lipgloss.Width(row[i]))
		}
	}
	titles := make([]string, len(head))
	for i, title := range head {
		titles[i] = p.dim.Render(title)
	}
	for _, row := range append([][]string{titles}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			line.WriteString(strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2))
		}
		fmt.Fprintln(p.w, strings.TrimRight(line.String(), " "))
	}
}

// section prints an empty line and a title.
func (p *printer) section(title string) { fmt.Fprintf(p.w, "\n%s\n", p.bold.Render(title)) }

// progress shows a person at a terminal what goes on until done is called.
func progress(w io.Writer, text string) (done func()) {
	if !telemetry.IsTerminal(w) {
		return func() {}
	}
	fmt.Fprint(w, newPrinter(w).dim.Render(text))
	return func() { fmt.Fprint(w, "\r\x1b[K") } // clears the line
}

// printJSON writes a result for programs.
func printJSON(w io.Writer, result any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		return fmt.Errorf("print result: %w", err)
	}
	return nil
}

// count returns "1 problem", "2 problems".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// cost returns a number of ticks with the digits that matter to a person.
func cost(ticks uint64) string {
	for _, unit := range []struct {
		size   uint64
		suffix string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if ticks >= unit.size {
			return fmt.Sprintf("%.1f%s", float64(ticks)/float64(unit.size), unit.suffix)
		}
	}
	return strconv.FormatUint(ticks, 10)
}

// short returns a duration with the digits that matter to a person.
func short(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

// size returns bytes in the largest unit that leaves a number of 1 and up.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d B", bytes)
}

// digest shortens "sha256:<hex>" to what tells two apart.
func digest(d string) string {
	if _, hex, ok := strings.Cut(d, ":"); ok && len(hex) > 12 {
		return hex[:12]
	}
	return d
}
