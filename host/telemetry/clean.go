package telemetry

import (
	"log/slog"
	"strings"
	"unicode"
)

// cleanAttr takes out of a line of text what would command the terminal that
// shows it: a client's path and a policy's words can have control characters.
// The handler of such lines passes escape characters on, and even makes one of
// the four letters that stand for it in a quoted string. It follows
// slog.HandlerOptions.ReplaceAttr, and is called for the message too.
func cleanAttr(groups []string, a slog.Attr) slog.Attr {
	isMessage := len(groups) == 0 && a.Key == slog.MessageKey
	a.Key = clean(a.Key, false)
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(clean(a.Value.String(), !isMessage))
	case slog.KindAny:
		err, ok := a.Value.Any().(error)
		if !ok {
			return a
		}
		if text := err.Error(); clean(text, true) != text {
			a.Value = slog.StringValue(clean(text, true))
		}
	}
	return a
}

// clean leaves line breaks and tabs where quoted says that s will be quoted for
// them.
func clean(s string, quoted bool) string {
	s = strings.ReplaceAll(s, `\x1b`, `\u001b`)
	return strings.Map(func(r rune) rune {
		if !unicode.IsControl(r) || quoted && (r == '\n' || r == '\t') {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
