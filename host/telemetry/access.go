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
	handler slog.Handler
	lines   *lineWriter
	text    bool
	pool    sync.Pool // of *accessLine
}

// accessLine is the memory of one line.
type accessLine struct {
	attrs []slog.Attr
	notes []slog.Attr
}

// NewAccessLog returns an access log on out, in a format as of NewLogger. Lines
// are written within a second, on a terminal at once. Close ends it.
func NewAccessLog(out io.Writer, format string, dropped *Counter) *AccessLog {
	l := &AccessLog{text: textFor(out, format)}
	l.pool.New = func() any {
		return &accessLine{
			attrs: make([]slog.Attr, 0, accessAttrs),
			notes: make([]slog.Attr, 0, exchange.MaxNotes),
		}
	}
	delay := lineDelay
	if IsTerminal(out) {
		delay = terminalDelay
	}
	l.lines = newLineWriter(out, delay, dropped)
	l.handler = newHandler(sameTerminal{l.lines, out}, format, slog.LevelInfo)
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

// Log writes the line of an exchange that has ended; elapsed is the time since
// Exchange.Began. The query is left out of the path: it is where people put
// secrets.
func (l *AccessLog) Log(x *exchange.Exchange, elapsed time.Duration) {
	if l == nil {
		return
	}
	line := l.pool.Get().(*accessLine)
	path, _, _ := strings.Cut(x.Received.Target, "?")
	message := "exchange"
	if l.text {
		message = x.Received.Method + " " + path
		line.describeShort(x, elapsed)
	} else {
		line.describe(x, path, elapsed)
	}
	record := slog.NewRecord(x.Begun().Add(elapsed), slog.LevelInfo, message, 0)
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

// describe gathers the line for machines.
func (l *accessLine) describe(x *exchange.Exchange, path string, elapsed time.Duration) {
	l.add("request_id", x.ID)
	l.addClient(x)
	if x.Conn != nil {
		l.add("listener", x.Conn.Listener)
	}
	l.add("protocol", x.Request.Version.String())
	l.add("method", x.Received.Method)
	l.add("authority", x.Received.Authority)
	l.add("path", path)
	l.attrs = append(l.attrs,
		slog.Int("status", x.Response.Status),
		slog.Int64("request_bytes", x.RequestBytes),
		slog.Int64("response_bytes", x.ResponseBytes),
		slog.Int64("duration_us", elapsed.Microseconds()))
	l.add("upstream", x.Route.Upstream)
	l.add("answered_by", x.AnsweredBy)
	l.addFailure(x.Failure)
	l.attrs = append(l.attrs, slog.Uint64("generation", x.Generation))
	l.add("trace_id", TraceID(x))
	l.addNotes(x.Notes)
}

// describeShort gathers what a person at a terminal wants to know.
func (l *accessLine) describeShort(x *exchange.Exchange, elapsed time.Duration) {
	l.attrs = append(l.attrs,
		slog.Int("status", x.Response.Status),
		slog.String("took", elapsed.Round(10*time.Microsecond).String()),
		slog.Uint64("generation", x.Generation))
	l.add("upstream", x.Route.Upstream)
	l.add("answered_by", x.AnsweredBy)
	l.addFailure(x.Failure)
	l.addNotes(x.Notes)
}

// add leaves out what is empty.
func (l *accessLine) add(key, value string) {
	if value != "" {
		l.attrs = append(l.attrs, slog.String(key, value))
	}
}

func (l *accessLine) addClient(x *exchange.Exchange) {
	if x.ClientIP.IsValid() {
		l.add("client", x.ClientIP.String())
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
