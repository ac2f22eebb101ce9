package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/lmittmann/tint"
)

// No word of a client or a policy may move the cursor of who reads the log, or
// pass for a line of its own.
func TestTextHasNoControlCharacters(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(tint.NewTextHandler(&out, textOptions(slog.LevelInfo, true)))
	for _, bad := range []string{"\x1b[2J", "\u009b2J", `=\x1b[2J`, "\x00", "\x7f", "\r", "\b"} {
		for place, write := range map[string]func(){
			"message": func() { log.Info("GET /" + bad) },
			"value":   func() { log.Info("m", "a", "x y"+bad) },
			"key":     func() { log.Info("m", "a"+bad, 1) },
			"note":    func() { log.Info("m", slog.Group("notes", slog.String("k", bad))) },
			"error":   func() { log.Info("m", "err", errors.New("x y"+bad)) },
		} {
			out.Reset()
			write()
			text := strings.TrimSuffix(out.String(), "\n")
			for _, colour := range []string{"0", "2", "92"} {
				text = strings.ReplaceAll(text, "\x1b["+colour+"m", "")
			}
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }) {
				t.Errorf("%q as %s: got %q", bad, place, text)
			}
		}
	}
	out.Reset()
	log.Info("a\nb", "stack", "one\ntwo")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `one\ntwo`) {
		t.Errorf("line breaks: got %q", got)
	}
}
