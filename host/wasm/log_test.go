package wasm

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestLogRemembersWhyAGuestGaveUp(t *testing.T) {
	var out bytes.Buffer
	l := NewLog(plainLogger(&out), 2)
	if got := l.Reason(); got != "" {
		t.Errorf("got %q before anything was said", got)
	}
	l.Emit(&Call{}, slog.LevelError, []byte("config.keys: expected a list"))
	l.Emit(&Call{}, slog.LevelInfo, []byte("something else"))
	if got, want := l.Reason(), "config.keys: expected a list"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
