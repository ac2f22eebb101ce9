package child

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/telemetry"
)

const (
	maxLine   = 8 << 10 // bytes of a line; what is longer is cut
	keptLines = 8       // that an error may cite
)

// Lines carries what processes of one policy print into the host's log, at most so many
// lines in a second. It is safe for concurrent use; pieces of lines that several
// processes print at once may mingle.
type Lines struct {
	*telemetry.LineLimit
	log *slog.Logger

	mu   sync.Mutex
	part []byte
	last []string
}

// NewLines makes what has so many lines go to log in a second.
func NewLines(log *slog.Logger, perSecond int) *Lines {
	return &Lines{LineLimit: telemetry.NewLineLimit(log, perSecond, time.Now), log: log}
}

// Write follows io.Writer. It never fails.
func (l *Lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(b)
	for {
		line, rest, ends := bytes.Cut(b, []byte{'\n'})
		l.part = append(l.part, line[:min(len(line), maxLine-len(l.part))]...)
		if !ends {
			return n, nil
		}
		if len(l.part) > 0 {
			l.emit(string(l.part))
		}
		l.part, b = l.part[:0], rest
	}
}

func (l *Lines) emit(line string) {
	if len(l.last) == keptLines {
		l.last = append(l.last[:0], l.last[1:]...)
	}
	l.last = append(l.last, line)
	if l.Admit() {
		l.log.LogAttrs(context.Background(), slog.LevelInfo, line)
	}
}

// Recent begins to keep what is printed, and said returns the end of it.
func (l *Lines) Recent() (said func() string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = nil
	return func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		return strings.Join(l.last, "; ")
	}
}
