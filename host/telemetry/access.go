package telemetry

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

const (
	terminalDelay  = 50 * time.Millisecond
	accessAttrs    = 20 // that a line has at most, besides its notes
	logCloseWindow = 2 * time.Second
)

// AccessLog writes one line for each exchange. A slow reader of the log costs
// lines, never time. It is safe for concurrent use; a nil *AccessLog logs
// nothing.
type AccessLog struct {
	lines   *lineWriter
	handler slog.Handler // of lines for people; nil: lines are JSON
	pool    sync.Pool    // of *jsonLine, or of *accessLine for people
}

// accessLine is the memory of one line for people.
type accessLine struct {
	attrs []slog.Attr
	notes []slog.Attr
}

// NewAccessLog returns an access log on out, in a format as of NewLogger. Lines
// are written within a second, on a terminal at once. Close ends it.
func NewAccessLog(out io.Writer, format string, dropped *Counter) *AccessLog {
	l := &AccessLog{}
	delay := lineDelay
	if IsTerminal(out) {
		delay = terminalDelay
	}
	l.lines = newLineWriter(out, delay, dropped)
	if !textFor(out, format) {
		l.pool.New = func() any { return new(jsonLine) }
		return l
	}
	l.handler = newHandler(sameTerminal{l.lines, out}, "text", slog.LevelInfo)
	l.pool.New = func() any {
		return &accessLine{
			attrs: make([]slog.Attr, 0, accessAttrs),
			notes: make([]slog.Attr, 0, exchange.MaxNotes),
		}
	}
	return l
}

// sameTerminal lets a handler see through to the terminal behind a buffer.
type sameTerminal struct {
	io.Writer
	out io.Writer
}

// Fd follows os.File; without a file it is no terminal.
func (s sameTerminal) Fd() uintptr {
	if f, ok := s.out.(interface{ Fd() uintptr }); ok {
		return f.Fd()
	}
	return ^uintptr(0)
}

// Log writes the line of an exchange that has ended just now; elapsed is the time
// since Exchange.Began. The query is left out of the path: it is where people put
// secrets.
func (l *AccessLog) Log(x *exchange.Exchange, elapsed time.Duration) {
	if l == nil {
		return
	}
	path, _, _ := strings.Cut(x.Received.Target, "?")
	if l.handler != nil {
		l.show(x, path, elapsed)
		return
	}
	line := l.pool.Get().(*jsonLine)
	line.write(x, path, time.Now(), elapsed)
	_, _ = l.lines.Write(line.b) // it never fails
	l.pool.Put(line)
}

// show writes a line for people.
func (l *AccessLog) show(x *exchange.Exchange, path string, elapsed time.Duration) {
	line := l.pool.Get().(*accessLine)
	line.describe(x, elapsed)
	record := slog.NewRecord(time.Now(), slog.LevelInfo, x.Received.Method+" "+path, 0)
	// A group without a name stands for its members; unlike separate attributes
	// it takes no memory of its own.
	record.AddAttrs(slog.Attr{Value: slog.GroupValue(line.attrs...)})
	_ = l.handler.Handle(context.Background(), record) // lineWriter never fails
	clear(line.attrs)
	clear(line.notes)
	line.attrs, line.notes = line.attrs[:0], line.notes[:0]
	l.pool.Put(line)
}

// Close writes what is left, within two seconds.
func (l *AccessLog) Close() {
	if l != nil {
		l.lines.Close(logCloseWindow)
	}
}

// describe gathers what a person at a terminal wants to know.
func (l *accessLine) describe(x *exchange.Exchange, elapsed time.Duration) {
	l.attrs = append(l.attrs,
		slog.Int("status", x.Response.Status),
		slog.String("took", elapsed.Round(10*time.Microsecond).String()),
		slog.Uint64("generation", x.Generation))
	l.add("upstream", x.Route.Upstream)
	l.add("answered_by", x.AnsweredBy)
	l.add("subject", x.Identity.Subject)
	l.addFailure(x.Failure)
	l.addNotes(x.Notes)
}

// add leaves out what is empty.
func (l *accessLine) add(key, value string) {
	if value != "" {
		l.attrs = append(l.attrs, slog.String(key, value))
	}
}

func (l *accessLine) addFailure(f *exchange.Failure) {
	if f == nil {
		return
	}
	l.add("failure", string(f.Cause))
	l.add("tier", f.Tier)
	l.add("stage", f.Stage)
	l.add("policy", f.Policy)
	if f.Err != nil {
		l.add("err", f.Err.Error())
	}
}

// addNotes puts what policies said into a group of its own, so that no note can
// pass for a field of the host.
func (l *accessLine) addNotes(notes []exchange.Note) {
	if len(notes) == 0 {
		return
	}
	for _, n := range notes {
		l.notes = append(l.notes, slog.String(n.Key, n.Value))
	}
	l.attrs = append(l.attrs, slog.Attr{Key: "notes", Value: slog.GroupValue(l.notes...)})
}
