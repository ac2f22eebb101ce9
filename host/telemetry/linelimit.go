package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// LineLimit admits so many lines of one policy in a second to a log. What is dropped is
// counted, and told with the first line of a later second or at Close. It is safe for
// concurrent use.
type LineLimit struct {
	logger *slog.Logger
	limit  int
	now    func() time.Time

	mu      sync.Mutex
	second  int64
	lines   int    // in this second
	dropped int    // since it was last told
	lost    uint64 // ever
}

// NewLineLimit admits at most linesPerSecond to a logger, by the clock now.
func NewLineLimit(logger *slog.Logger, linesPerSecond int, now func() time.Time) *LineLimit {
	return &LineLimit{logger: logger, limit: linesPerSecond, now: now}
}

// Admit reports whether a line may be logged now.
func (l *LineLimit) Admit() bool {
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

// Lost returns how many lines were dropped since the limit was made.
func (l *LineLimit) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Close tells of what was dropped last.
func (l *LineLimit) Close() {
	l.mu.Lock()
	dropped := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	l.tell(dropped)
}

func (l *LineLimit) tell(dropped int) {
	if dropped > 0 {
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "policy logs too much: lines dropped",
			slog.Int("dropped", dropped), slog.Int("lines_per_second", l.limit))
	}
}
