package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	traceproto "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/hosttest/race"
)

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func attributes(span *traceproto.Span) map[string]string {
	all := make(map[string]string)
	for _, a := range span.Attributes {
		all[a.Key] = a.Value.GetStringValue()
	}
	return all
}

// countingWriter counts lines; it is safe for concurrent use.
type countingWriter struct {
	mu    sync.Mutex
	lines int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

func (w *countingWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines
}

func ended() *exchange.Exchange {
	x := request("traceparent", unsampledParent)
	x.ClientIP = netip.MustParseAddr("192.0.2.7")
	x.Conn = &exchange.Conn{Listener: "main"}
	x.Response.Status = 504
	x.RequestBytes, x.ResponseBytes = 3, 16
	x.Generation = 9
	x.Route.Upstream = "origin"
	x.Failure = &exchange.Failure{Cause: exchange.CauseTimeout, Status: 504, Tier: "service", Err: errors.New("10.0.0.1 took long")}
	_ = x.Identify("alice@example.com", "oidc")
	x.Annotate("consumer", "alice")
	x.Annotate("status", "200")
	x.Request.Method, x.Request.Authority, x.Request.Target = "POST", "other.example", "/rewritten" // by a policy
	return x
}

func TestAccessLine(t *testing.T) {
	var out bytes.Buffer
	log := NewAccessLog(&out, "json", nil)
	log.Log(ended(), 1500*time.Microsecond)
	log.Close()

	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	for key, want := range map[string]any{
		"msg": "exchange", "request_id": "r1", "client": "192.0.2.7", "listener": "main",
		"method": "GET", "authority": "example.com", "path": "/a", "protocol": "HTTP/1.1",
		"status": 504.0, "request_bytes": 3.0, "response_bytes": 16.0, "duration_us": 1500.0,
		"upstream": "origin", "failure": "timeout", "tier": "service", "err": "10.0.0.1 took long",
		"generation": 9.0, "subject": "alice@example.com", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
	} {
		if line[key] != want {
			t.Errorf("%s: got %v, want %v", key, line[key], want)
		}
	}
	notes, _ := line["notes"].(map[string]any)
	if notes["consumer"] != "alice" || notes["status"] != "200" {
		t.Errorf("notes: got %v", line["notes"])
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("the query is in the log: %s", out.String())
	}
}

func TestAccessLinesDoNotMix(t *testing.T) {
	var out bytes.Buffer
	log := NewAccessLog(&out, "json", nil)
	log.Log(ended(), time.Millisecond)
	x := request()
	x.Response.Status = 200
	log.Log(x, time.Millisecond)
	log.Close()
	_, second, _ := strings.Cut(out.String(), "\n")
	for _, left := range []string{"alice", "timeout", "origin"} {
		if strings.Contains(second, left) {
			t.Errorf("%q of the first exchange is in the line of the second: %s", left, second)
		}
	}
}

func TestAccessLineForPeople(t *testing.T) {
	var out bytes.Buffer
	log := NewAccessLog(&out, "text", nil)
	log.Log(ended(), 1500*time.Microsecond)
	log.Close()
	for _, want := range []string{"GET /a ", "status=504", "took=1.5ms", "failure=timeout", "subject=alice@example.com"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b[") {
		t.Errorf("colours without a terminal: %q", out.String())
	}
}

func TestAccessLogDoesNotAllocate(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector makes pools forget at random")
	}
	log := NewAccessLog(&countingWriter{}, "json", nil)
	defer log.Close()
	x := ended()
	x.Failure = nil                                  // its text is made when it is asked for
	log.lines.Write(make([]byte, lineBufferBytes/2)) // the buffer grows to what is not written yet
	log.lines.Flush(10 * time.Second)
	log.lines.Write(make([]byte, lineBufferBytes/2))
	if got := testing.AllocsPerRun(1000, func() { log.Log(x, time.Millisecond) }); got > 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func TestAccessLineHasTheTime(t *testing.T) {
	var l jsonLine
	east := time.FixedZone("", 5*3600+1800)
	for _, at := range []time.Time{
		time.Date(2026, 11, 22, 20, 58, 19, 7_000, time.UTC),
		time.Date(2026, 11, 22, 20, 58, 19, 999_999_999, time.UTC),
		time.Date(2026, 12, 31, 23, 59, 59, 0, east),
	} {
		l.write(request(), "/", at, 0)
		var line struct{ Time time.Time }
		if err := json.Unmarshal(l.b, &line); err != nil || !line.Time.Equal(at.Truncate(time.Microsecond)) {
			t.Errorf("got %v, %v; want %v", line.Time, err, at)
		}
	}
}

func FuzzAccessLine(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\b\f\n\r\t\x00\x1f\x7f", "\u2028\u2029\ufffd é 日本", "\xff\xc3(\xed\xa0\x80", "<&>"} {
		f.Add(s, "note", s)
	}
	f.Fuzz(func(t *testing.T, target, key, value string) {
		x := request()
		x.Annotate(key, value)
		x.Annotate("second", value)
		var l jsonLine
		l.write(x, target, time.Now(), time.Second)
		if n := bytes.Count(l.b, []byte("\n")); n != 1 {
			t.Errorf("%d lines: %q", n, l.b)
		}
		var line struct {
			Path  string
			Notes map[string]string
		}
		if err := json.Unmarshal(l.b, &line); err != nil {
			t.Fatalf("%v: %q", err, l.b)
		}
		said := func(s string) (as string) { // what encoding/json makes of it
			text, _ := json.Marshal(s)
			_ = json.Unmarshal(text, &as)
			return as
		}
		if line.Path != said(target) || key != "second" && line.Notes[said(key)] != said(value) {
			t.Errorf("%q, %q and %q became %q", target, key, value, l.b)
		}
	})
}

func TestNoAccessLog(t *testing.T) {
	var log *AccessLog
	log.Log(ended(), time.Second)
	log.Close()
}

// stuckWriter blocks until it is freed.
type stuckWriter struct {
	entered chan struct{}
	free    chan struct{}
	once    sync.Once
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.entered) })
	<-w.free
	return len(p), nil
}

func TestStuckReaderCostsLinesNotTime(t *testing.T) {
	m := NewMetrics("test")
	out := &stuckWriter{entered: make(chan struct{}), free: make(chan struct{})}
	w := newLineWriter(out, 0, m.DroppedLines("access"))
	line := bytes.Repeat([]byte("x"), 1024)
	if _, err := w.Write(line); err != nil {
		t.Fatal(err)
	}
	<-out.entered
	for range 2 * lineBufferBytes / len(line) {
		if _, err := w.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	close(out.free)
	w.Close(time.Minute)
	got := find(scrape(t, m), "ergo_log_lines_dropped_total", "source=access").GetCounter().GetValue()
	if want := float64(lineBufferBytes / len(line)); got != want {
		t.Errorf("got %v dropped, want %v", got, want)
	}
}

func TestLinesAreWrittenWithoutClose(t *testing.T) {
	var out countingWriter
	w := newLineWriter(&out, time.Millisecond, nil)
	defer w.Close(time.Minute)
	for n := 1; n <= 3; n++ {
		_, _ = w.Write([]byte("line\n"))
		waitFor(t, func() bool { return out.count() == n })
	}
}

func waitFor(t *testing.T, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

func TestManyWritersLoseNothing(t *testing.T) {
	var out countingWriter
	w := newLineWriter(&out, time.Millisecond, nil)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 500 {
				_, _ = w.Write([]byte("a line\n"))
			}
		})
	}
	group.Wait()
	w.Close(time.Minute)
	if got := out.count(); got != 4000 {
		t.Errorf("got %d lines, want 4000", got)
	}
}

func TestLoggerFormats(t *testing.T) {
	var level slog.LevelVar
	for _, c := range []struct{ format, want string }{
		{"json", `"msg":"hello"`},
		{"auto", `"msg":"hello"`}, // a buffer is no terminal
		{"text", "INF hello"},
	} {
		var out bytes.Buffer
		log := NewLogger(&out, c.format, &level)
		log.Info("hello")
		log.Debug("hidden")
		if got := out.String(); !strings.Contains(got, c.want) || strings.Contains(got, "hidden") {
			t.Errorf("%s: got %q", c.format, got)
		}
	}
}

func TestDurationsHaveAUnit(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		NewLogger(&out, format, slog.LevelInfo).Info("swapped", "took", 1500*time.Millisecond)
		if got := out.String(); !strings.Contains(got, "1.5s") {
			t.Errorf("%s: got %q", format, got)
		}
	}
}

func TestLevelChangesWhileInUse(t *testing.T) {
	var level slog.LevelVar
	var out bytes.Buffer
	log := NewLogger(&out, "json", &level)
	level.Set(ParseLevel("debug"))
	log.Debug("seen")
	level.Set(ParseLevel("error"))
	log.Warn("unseen")
	if got := out.String(); !strings.Contains(got, "seen") || strings.Contains(got, "unseen") {
		t.Errorf("got %q", got)
	}
}

func TestStuckReaderHoldsUpNoLogger(t *testing.T) {
	m := NewMetrics("test")
	out := &stuckWriter{entered: make(chan struct{}), free: make(chan struct{})}
	log := NewHostLog(out, "json", slog.LevelInfo)
	log.Count(m.DroppedLines("host"))
	log.Info("taken by the reader")
	<-out.entered
	text := strings.Repeat("x", 1024)
	for range 2 * lineBufferBytes / len(text) {
		log.Info(text)
	}
	close(out.free)
	log.Close()
	if got := find(scrape(t, m), "ergo_log_lines_dropped_total", "source=host").GetCounter().GetValue(); got == 0 {
		t.Error("lost lines are not counted")
	}
}

func TestFlushedLinesAreWritten(t *testing.T) {
	var out countingWriter
	w := newLineWriter(&out, time.Hour, nil)
	defer w.Close(time.Minute)
	for n := 1; n <= 100; n++ {
		_, _ = w.Write([]byte("line\n"))
		w.Flush(time.Minute)
		if got := out.count(); got != n {
			t.Fatalf("got %d lines written, want %d", got, n)
		}
	}
}
