package telemetry

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// HostLog is the log of a host that serves. Lines are written at once, but behind
// the back of whoever logs them: a reader that is stuck costs lines, and holds up
// neither an exchange nor a swap nor the end of the host.
type HostLog struct {
	*slog.Logger
	lines *lineWriter
}

// NewHostLog returns a log on w, with a format and a level as of NewLogger. Close
// ends it.
func NewHostLog(w io.Writer, format string, level slog.Leveler) *HostLog {
	lines := newLineWriter(w, 0, nil)
	return &HostLog{slog.New(newHandler(sameTerminal{lines, w}, format, level)), lines}
}

// Count has lost lines counted from now on.
func (l *HostLog) Count(dropped *Counter) { l.lines.dropped.Store(dropped) }

// Flush returns when all lines so far are written; it does not wait long for a
// reader that is stuck.
func (l *HostLog) Flush() { l.lines.Flush(logCloseWindow) }

// Close is Flush, after which lines are lost.
func (l *HostLog) Close() { l.lines.Close(logCloseWindow) }

// NewLogger returns a log on w: coloured text for people if format is "text", or
// "auto" (or empty) and w is a terminal; else JSON. level may change while the
// log is in use.
func NewLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	return slog.New(newHandler(w, format, level))
}

func newHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	if !textFor(w, format) {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: spellDuration})
	}
	return tint.NewTextHandler(w, textOptions(level, ColorFor(w)))
}

// spellDuration writes "1.5s" where slog would write a number of nanoseconds that
// nothing says the unit of.
func spellDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func textOptions(level slog.Leveler, colour bool) *tint.Options {
	return &tint.Options{
		Level:       level,
		TimeFormat:  time.TimeOnly + ".000",
		NoColor:     !colour,
		ReplaceAttr: cleanAttr,
	}
}

func textFor(w io.Writer, format string) bool {
	switch format {
	case "text":
		return true
	case "json":
		return false
	}
	return IsTerminal(w)
}

// IsTerminal reports whether a person reads w.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}

// ColorFor reports whether w takes colours: it is a terminal that knows them, and
// the NO_COLOR convention does not forbid it.
func ColorFor(w io.Writer) bool {
	return IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// ParseLevel returns the level of a manifest's host.log.level; anything unknown
// is info.
func ParseLevel(name string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return level
}
