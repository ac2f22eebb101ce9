package guest

import (
	"io"
	"strings"
)

const (
	requestKind = iota
	responseKind
	requestTrailerKind
	responseTrailerKind
)

// Request is the request of the exchange that the host is asking about. Setters
// work in the request phase only, getters in both.
type Request struct{}

// Method returns the method as the client wrote it.
func (Request) Method() string { return string(read(getMethod)) }

// SetMethod replaces the method, which must not be empty.
func (Request) SetMethod(method string) { setMethod(method) }

// Target returns path and query, percent-encoded; "/" rather than empty.
func (Request) Target() string { return string(read(getURI)) }

// SetTarget replaces path and query. The caller has to encode them.
func (Request) SetTarget(target string) { setURI(target) }

// Protocol returns the client's protocol, for instance "HTTP/1.1" or "HTTP/2.0".
func (Request) Protocol() string { return string(read(getProtocolVersion)) }

// Source returns the client's address and port, for instance "192.0.2.1:1234" or
// "[2001:db8::1]:1234".
func (Request) Source() string { return string(read(getSourceAddr)) }

// Header returns the header fields.
func (Request) Header() Header { return Header{requestKind} }

// Trailer returns the trailer fields.
func (Request) Trailer() Header { return Header{requestTrailerKind} }

// Body returns the body. See [Body] for what reading it means.
func (Request) Body() Body { return Body{requestKind} }

// Answer starts an answer of the policy's own; the request is not sent on.
func (Request) Answer(status int) Reply {
	setStatusCode(uint32(status))
	return Reply{}
}

// Response is the response of the exchange, in the response phase.
type Response struct{}

// Request returns the request that this answers; it can only be read by now.
func (Response) Request() Request { return Request{} }

// Status returns the status code.
func (Response) Status() int { return int(getStatusCode()) }

// SetStatus replaces the status code; needs [BufferResponse].
func (Response) SetStatus(status int) { setStatusCode(uint32(status)) }

// Header returns the header fields.
func (Response) Header() Header { return Header{responseKind} }

// Trailer returns the trailer fields.
func (Response) Trailer() Header { return Header{responseTrailerKind} }

// Body returns the body; needs [BufferResponse].
func (Response) Body() Body { return Body{responseKind} }

// Reply is an answer in the making. End it with Text, Body or Empty and return
// the Flow that you get.
type Reply struct{}

// Header sets one header field of the answer.
func (r Reply) Header(name, value string) Reply {
	Header{responseKind}.Set(name, value)
	return r
}

// Text ends the answer with a plain text.
func (r Reply) Text(text string) Flow {
	return r.Body("text/plain; charset=utf-8", []byte(text))
}

// Body ends the answer with a body of a content type.
func (r Reply) Body(contentType string, body []byte) Flow {
	r.Header("content-type", contentType)
	writeBody(responseKind, body)
	return Answer
}

// Empty ends the answer without a body.
func (Reply) Empty() Flow { return Answer }

// Header is one list of header or trailer fields. Names are matched without
// regard to case. The host traps what it no longer allows: changes of the request
// once it was sent on, and trailers without [Trailers].
type Header struct{ kind uint32 }

// Names returns the names in use, in lower case, in the order of their first
// appearance.
func (h Header) Names() []string {
	return readList(func(buf []byte) uint64 { return getHeaderNames(h.kind, buf) })
}

// Values returns every value of a field, in order; none when it is absent.
func (h Header) Values(name string) []string {
	return readList(func(buf []byte) uint64 { return getHeaderValues(h.kind, name, buf) })
}

// Get returns the first value of a field. Use Values where a repeated field would
// be ambiguous.
func (h Header) Get(name string) (value string, found bool) {
	values := h.Values(name)
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// Set replaces every value of a field.
func (h Header) Set(name, value string) { setHeaderValue(h.kind, name, value) }

// Add adds a value to those of a field.
func (h Header) Add(name, value string) { addHeaderValue(h.kind, name, value) }

// Remove removes every value of a field.
func (h Header) Remove(name string) { removeHeader(h.kind, name) }

// RemoveAlike removes every field that many applications would take for one of the
// names: they see x_user and x-user as one field. For fields that only the policy may
// set.
func (h Header) RemoveAlike(names ...string) {
	if len(names) == 0 {
		return
	}
	for _, field := range h.Names() {
		for _, name := range names {
			if alike(field, name) {
				h.Remove(field)
				break
			}
		}
	}
}

// alike says whether two names differ in case, dashes and underscores alone.
func alike(one, other string) bool {
	return len(one) == len(other) &&
		strings.EqualFold(strings.ReplaceAll(one, "_", "-"), strings.ReplaceAll(other, "_", "-"))
}

// Body is one body of the exchange: a stream that is read and written in order.
//
// A module whose code reads a body imports read_body, which tells the host that
// bodies matter to it; policy.toml says how much of them ([needs]).
type Body struct{ kind uint32 }

// Read follows io.Reader.
func (b Body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	result := readBody(b.kind, p)
	length := int(uint32(result))
	if result>>32 != 0 && length == 0 {
		return 0, io.EOF
	}
	return length, nil
}

// Write follows io.Writer; the first write of a phase replaces the body.
func (b Body) Write(p []byte) (int, error) {
	writeBody(b.kind, p)
	return len(p), nil
}

// Level says how much a message matters.
type Level int32

// Levels of a message.
const (
	Debug Level = -1
	Info  Level = 0
	Warn  Level = 1
	Error Level = 2
)

// Log writes one message to the host's log; it needs no grant.
func Log(level Level, message string) { writeLog(int32(level), message) }

// LogEnabled says whether the host keeps messages of a level.
func LogEnabled(level Level) bool { return logEnabled(int32(level)) != 0 }

// Emit writes one message with fields, given as key and value by turns. It needs
// the grant ergo_log. What follows a NUL in a field is cut.
func Emit(level Level, message string, fields ...string) {
	var joined strings.Builder
	for _, field := range fields {
		text, _, _ := strings.Cut(field, "\x00")
		joined.WriteString(text)
		joined.WriteByte(0)
	}
	emit(int32(level), message, joined.String())
}

// Annotate adds a field to this exchange's line of the access log. It needs the
// grant ergo_log.
func Annotate(key, value string) { annotate(key, value) }
