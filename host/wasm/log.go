package wasm

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/telemetry"
)

// maxLine bounds one line of a guest's log, in bytes.
const maxLine = 8 << 10

// Log carries what the guests of one policy say into the host's log, at most so
// many lines in a second. What is dropped is counted, and told with the first
// line of a later second or at Close. It is safe for concurrent use.
type Log struct {
	*telemetry.LineLimit
	logger *slog.Logger

	mu     sync.Mutex
	reason string // the last line at level error
}

// NewLog makes a log of at most linesPerSecond. A nil logger drops everything.
func NewLog(logger *slog.Logger, linesPerSecond int) *Log {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Log{LineLimit: telemetry.NewLineLimit(logger, linesPerSecond, time.Now), logger: logger}
}

// Enabled reports whether lines of a level are wanted at all.
func (l *Log) Enabled(level slog.Level) bool {
	return l.logger.Enabled(context.Background(), level)
}

// Emit logs one line of a guest, cut at 8 KiB; call tells the exchange.
func (l *Log) Emit(call *Call, level slog.Level, message []byte, attrs ...slog.Attr) {
	if !l.Enabled(level) || !l.Admit() {
		return
	}
	if len(message) > maxLine {
		message = message[:maxLine]
	}
	if level >= slog.LevelError {
		l.mu.Lock()
		l.reason = string(message)
		l.mu.Unlock()
	}
	if call.Exchange != nil {
		attrs = append(attrs, slog.String("request_id", call.Exchange.ID))
	}
	l.logger.LogAttrs(context.Background(), level, string(message), attrs...)
}

// Reason returns the last line that a guest logged as an error, "" if there is
// none: why it gave up, where the trap itself says nothing.
func (l *Log) Reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// lineWriter is a guest's stdout or stderr: guests write in small pieces, the
// log wants lines.
type lineWriter struct {
	call   *Call
	level  slog.Level
	stream string
	line   []byte
}

// Write follows io.Writer; it never fails. One call of the guest can print its
// memory a million times over, so its deadline is looked at for each line.
func (w *lineWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		w.call.Check()
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			w.add(rest)
			break
		}
		w.add(rest[:end])
		w.flush()
		rest = rest[end+1:]
	}
	return len(p), nil
}

// add keeps what a line may hold and forgets the rest of it.
func (w *lineWriter) add(p []byte) {
	w.line = append(w.line, p[:min(len(p), maxLine-len(w.line))]...)
}

func (w *lineWriter) flush() {
	if len(w.line) > 0 {
		w.call.Log.Emit(w.call, w.level, w.line, slog.String("stream", w.stream))
		w.line = w.line[:0]
	}
}
