package telemetry

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

const (
	traceparentLength = 55 // of version 00
	traceIDStart      = 3
	traceIDEnd        = 35
	spanIDEnd         = 52
	zeroTraceID       = "00000000000000000000000000000000"
	zeroSpanID        = "0000000000000000"
)

// parentOf reads the request's traceparent field as W3C Trace Context level 2,
// section 3.2, says, without allocating. An absent or broken one is not ok.
func parentOf(h *exchange.Header) (traceID string, sampled, ok bool) {
	v := value(h, exchange.Traceparent)
	if len(v) < traceparentLength || v[2] != '-' || v[traceIDEnd] != '-' || v[spanIDEnd] != '-' {
		return "", false, false
	}
	version, flags := v[:2], v[spanIDEnd+1:traceparentLength]
	if version == "ff" || !isHex(version) || !isHex(flags) {
		return "", false, false
	}
	// Later versions may add more behind another dash.
	if len(v) > traceparentLength && (version == "00" || v[traceparentLength] != '-') {
		return "", false, false
	}
	traceID = v[traceIDStart:traceIDEnd]
	spanID := v[traceIDEnd+1 : spanIDEnd]
	if !isHex(traceID) || !isHex(spanID) || traceID == zeroTraceID || spanID == zeroSpanID {
		return "", false, false
	}
	return traceID, unhex(flags[1])&1 == 1, true
}

// value returns the first field's value, empty if there is none.
func value(h *exchange.Header, id exchange.Known) string {
	v, _ := h.GetKnown(id)
	return v
}

// isHex reports whether s is lower-case hexadecimal.
func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

// carrier lets OpenTelemetry's propagators read and write an exchange's fields.
type carrier struct{ h *exchange.Header }

// Get joins repeated fields, as tracestate may be (RFC 9110, 5.3). A span keeps
// what it returns longer than the exchange has its text.
func (c carrier) Get(key string) string {
	first, ok := c.h.Get(key)
	if !ok {
		return ""
	}
	if values := c.h.AppendValues(nil, key); len(values) > 1 {
		return strings.Join(values, ",")
	}
	return strings.Clone(first)
}

func (c carrier) Set(key, value string) { c.h.Set(key, value) }

func (c carrier) Keys() []string {
	names := make([]string, 0, c.h.Len())
	for _, f := range c.h.Fields() {
		names = append(names, f.Name)
	}
	return names
}
