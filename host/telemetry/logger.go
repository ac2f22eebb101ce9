package telemetry

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// NewLogger returns the host's log on w: coloured text for people if format is
// "text", or "auto" (or empty) and w is a terminal; else JSON. level may change
// while the log is in use.
func NewLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	return slog.New(newHandler(w, format, level))
}

func newHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	if !textFor(w, format) {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	}
	return tint.NewTextHandler(w, textOptions(level, ColorFor(w)))
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

// ColorFor reports whether w takes colours: it is a terminal, and the NO_COLOR
// convention does not forbid it.
func ColorFor(w io.Writer) bool { return IsTerminal(w) && os.Getenv("NO_COLOR") == "" }

// ParseLevel returns the level of a manifest's host.log.level; anything unknown
// is info.
func ParseLevel(name string) slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(name)) != nil {
		return slog.LevelInfo
	}
	return level
}
