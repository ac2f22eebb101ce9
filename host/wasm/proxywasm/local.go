package proxywasm

import (
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// localReply is a response that a guest sends itself.
type localReply struct {
	status  int
	grpc    int32 // status of gRPC; outside of 0 to 16: none
	body    []byte
	headers []exchange.Field
}

// maxGRPCStatus is the highest status that gRPC has.
const maxGRPCStatus = 16

// answer makes the guest's local response the exchange's. A call of gRPC is answered
// in the way of gRPC, by a head alone whose fields are the trailers, as Envoy does.
func (s *stream) answer() {
	l, r := s.local, &s.x.Response
	if r.Body != nil {
		r.Body.Close()
	}
	if r.Tunnel != nil {
		r.Tunnel.Close()
	}
	r.Reset()
	r.Status = l.status
	m := fields{header: &r.Header, response: r}
	for _, f := range l.headers {
		m.add(strings.ToLower(f.Name), f.Value) // what can't be a field is left out
	}
	r.Header.Del("content-length")
	if contentType := s.x.Request.Header.Value("content-type"); strings.HasPrefix(contentType, "application/grpc") {
		s.answerGRPC()
		return
	}
	if l.grpc >= 0 && l.grpc <= maxGRPCStatus {
		r.Header.Set("grpc-status", strconv.Itoa(int(l.grpc)))
	}
	if r.Status == 204 || r.Status == 304 {
		return
	}
	r.Length = int64(len(l.body))
	r.Header.Add("content-length", strconv.Itoa(len(l.body)))
	if len(l.body) == 0 {
		return
	}
	if !r.Header.Has("content-type") {
		r.Header.Add("content-type", "text/plain")
	}
	if s.x.Request.Method != "HEAD" {
		r.Body = exchange.NewBuffered(l.body)
	}
}

func (s *stream) answerGRPC() {
	l, r := s.local, &s.x.Response
	status := int(l.grpc)
	if status < 0 || status > maxGRPCStatus {
		status = exchange.GRPCStatus(l.status)
	}
	r.Status = 200
	r.Header.Set("content-type", "application/grpc")
	r.Header.Set("grpc-status", strconv.Itoa(status))
	if len(l.body) > 0 {
		r.Header.Set("grpc-message", percentEncode(l.body[:min(len(l.body), maxGRPCMessage)]))
	}
}

// maxGRPCMessage bounds a body that becomes a field: clients refuse heads of more
// than 8 KiB, and each byte may become three.
const maxGRPCMessage = 1 << 10

// percentEncode renders a Status-Message (gRPC over HTTP/2, Responses).
func percentEncode(text []byte) string {
	var b strings.Builder
	for _, c := range text {
		if c >= ' ' && c <= '~' && c != '%' {
			b.WriteByte(c)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}
