package wasm

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxLine bounds one line of a guest's log, in bytes.
const maxLine = 8 << 10

// Log carries what the guests of one policy say into the host's log, at most so
// many lines in a second. What is dropped is counted, and told with the first
// line of a later second or at Close. It is safe for concurrent use.
type Log struct {
	logger *slog.Logger
	limit  int
	now    func() time.Time

	mu      sync.Mutex
	second  int64
	lines   int    // in this second
	dropped int    // since it was last told
	lost    uint64 // ever
	reason  string // the last line at level error
}

// NewLog makes a log of at most linesPerSecond. A nil logger drops everything.
func NewLog(logger *slog.Logger, linesPerSecond int) *Log {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Log{logger: logger, limit: linesPerSecond, now: time.Now}
}

// Enabled reports whether lines of a level are wanted at all.
func (l *Log) Enabled(level slog.Level) bool {
	return l.logger.Enabled(context.Background(), level)
}

// Emit logs one line of a guest, cut at 8 KiB; call tells the exchange.
func (l *Log) Emit(call *Call, level slog.Level, message []byte, attrs ...slog.Attr) {
	if !l.Enabled(level) || !l.admit() {
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

// Lost returns how many lines were dropped since the log was made.
func (l *Log) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

func (l *Log) admit() bool {
	now := l.now().Unix()
	l.mu.Lock()
	told := 0
	if now != l.second {
		l.second, l.lines = now, 0
		told, l.dropped = l.dropped, 0
	}
	admitted := l.lines < l.limit
	if admitted {
		l.lines++
	} else {
		l.dropped++
		l.lost++
	}
	l.mu.Unlock()
	l.tell(told)
	return admitted
}

func (l *Log) tell(dropped int) {
	if dropped > 0 {
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "policy logs too much: lines dropped",
			slog.Int("dropped", dropped), slog.Int("lines_per_second", l.limit))
	}
}

// Close tells of what was dropped last.
func (l *Log) Close() {
	l.mu.Lock()
	dropped := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	l.tell(dropped)
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
