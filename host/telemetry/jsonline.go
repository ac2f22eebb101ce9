package telemetry

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ergoproxy/ergo/host/exchange"
)

// jsonLine is a line of the access log for machines, in the making. It is what
// slog's JSON handler would write, without the memory and the time that it takes.
type jsonLine struct {
	b []byte

	second int64  // that stamp is of, in Unix time
	stamp  []byte // date and time of day
	zone   []byte // offset from UTC
}

// maxLineKept bounds the memory that waits for the next line.
const maxLineKept = 64 << 10

// write makes the line of an exchange that ended at a time, after elapsed.
func (l *jsonLine) write(x *exchange.Exchange, path string, at time.Time, elapsed time.Duration) {
	if cap(l.b) > maxLineKept {
		l.b = nil
	}
	l.b = append(l.b[:0], `{"time":"`...)
	l.time(at)
	l.b = append(l.b, `","level":"INFO","msg":"exchange"`...)
	l.text("request_id", x.ID)
	l.address("client", x.ClientIP)
	if x.Conn != nil {
		l.text("listener", x.Conn.Listener)
	}
	l.text("protocol", x.Request.Version.String())
	l.text("method", x.Received.Method)
	l.text("authority", x.Received.Authority)
	l.text("path", path)
	l.number("status", int64(x.Response.Status))
	l.number("request_bytes", x.RequestBytes)
	l.number("response_bytes", x.ResponseBytes)
	l.number("duration_us", elapsed.Microseconds())
	l.text("upstream", x.Route.Upstream)
	l.text("answered_by", x.AnsweredBy)
	l.text("subject", x.Identity.Subject)
	l.failure(x.Failure)
	l.number("generation", int64(x.Generation))
	l.text("trace_id", TraceID(x))
	l.notes(x.Notes)
	l.b = append(l.b, "}\n"...)
}

// time appends a time in the form of RFC 3339. All lines of a second share what
// is costly.
func (l *jsonLine) time(at time.Time) {
	if second := at.Unix(); second != l.second || l.stamp == nil {
		l.second = second
		l.stamp = at.AppendFormat(l.stamp[:0], "2006-01-02T15:04:05.")
		l.zone = at.AppendFormat(l.zone[:0], "Z07:00")
	}
	l.b = append(l.b, l.stamp...)
	micros := at.Nanosecond() / 1000
	for unit := 100_000; unit > 0; unit /= 10 {
		l.b = append(l.b, byte('0'+micros/unit%10))
	}
	l.b = append(l.b, l.zone...)
}

// key begins a member; it needs no escaping.
func (l *jsonLine) key(key string) {
	l.b = append(l.b, `,"`...)
	l.b = append(l.b, key...)
	l.b = append(l.b, `":`...)
}

// text leaves out what is empty.
func (l *jsonLine) text(key, value string) {
	if value != "" {
		l.key(key)
		l.b = appendQuoted(l.b, value)
	}
}

func (l *jsonLine) number(key string, value int64) {
	l.key(key)
	l.b = strconv.AppendInt(l.b, value, 10)
}

func (l *jsonLine) address(key string, address netip.Addr) {
	if address.IsValid() {
		l.key(key)
		l.b = append(l.b, '"')
		l.b = address.AppendTo(l.b)
		l.b = append(l.b, '"')
	}
}

func (l *jsonLine) failure(f *exchange.Failure) {
	if f == nil {
		return
	}
	l.text("failure", string(f.Cause))
	l.text("tier", f.Tier)
	l.text("stage", f.Stage)
	l.text("policy", f.Policy)
	if f.Err != nil {
		l.text("err", f.Err.Error())
	}
}

// notes puts what policies said into an object of its own, so that no note can
// pass for a field of the host.
func (l *jsonLine) notes(notes []exchange.Note) {
	if len(notes) == 0 {
		return
	}
	l.key("notes")
	for i, n := range notes {
		l.b = append(l.b, "{,"[min(i, 1)])
		l.b = appendQuoted(l.b, n.Key)
		l.b = append(l.b, ':')
		l.b = appendQuoted(l.b, n.Value)
	}
	l.b = append(l.b, '}')
}

// appendQuoted appends a JSON string (RFC 8259, 7). Bytes that are not UTF-8
// become U+FFFD, and what ends a line in JavaScript is escaped too.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		var r rune
		if c >= utf8.RuneSelf {
			if r, size = utf8.DecodeRuneInString(s[i:]); !(r == utf8.RuneError && size == 1) && r != '\u2028' && r != '\u2029' {
				i += size
				continue
			}
		}
		b = append(b, s[start:i]...)
		b = appendEscaped(b, c, r)
		i += size
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

// appendEscaped appends an ASCII character that cannot stand for itself, or a rune
// beyond.
func appendEscaped(b []byte, c byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch {
	case r == '\u2028' || r == '\u2029':
		return append(append(b, `\u202`...), digits[r&15])
	case c >= utf8.RuneSelf:
		return append(b, `\ufffd`...)
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\n':
		return append(b, `\n`...)
	case c == '\r':
		return append(b, `\r`...)
	case c == '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
}
