package telemetry

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
)

const (
	sampledParent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampledParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

var parents = []struct {
	field       string
	sampled, ok bool
}{
	{sampledParent, true, true},
	{unsampledParent, false, true},
	{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true, true}, // random flag
	{"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true, true},
	{"", false, false},
	{"00", false, false},
	{"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false},
	{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false},
	{"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false},
	{"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false, false},
	{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false, false},
	{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", false, false},
	{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g", false, false},
	{"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", false, false},
}

func TestParentOf(t *testing.T) {
	for _, c := range parents {
		var h exchange.Header
		h.Add("TraceParent", c.field)
		_, sampled, ok := parentOf(&h)
		if sampled != c.sampled || ok != c.ok {
			t.Errorf("%q: got sampled %v, ok %v", c.field, sampled, ok)
		}
	}
}

// FuzzParentOf holds our reader of traceparent against OpenTelemetry's: what it
// takes and would sample, theirs takes too. Theirs takes version 00 also with a dash at its
// end, where W3C Trace Context has exactly 55 characters.
func FuzzParentOf(f *testing.F) {
	for _, c := range parents {
		f.Add(c.field)
	}
	f.Fuzz(func(t *testing.T, field string) {
		var h exchange.Header
		h.Add("traceparent", field)
		id, sampled, ok := parentOf(&h)
		theirs := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier{&h}))
		tooLong := strings.HasPrefix(field, "00") && len(field) > traceparentLength
		if ok && tooLong {
			t.Errorf("%q: taken, and is too long", field)
		}
		if theirs.IsValid() && !ok && !tooLong {
			t.Errorf("%q: refused, but is %v", field, theirs)
		}
		if ok && theirs.IsValid() && (theirs.TraceID().String() != id || theirs.IsSampled() != sampled) {
			t.Errorf("%q: got %s %v, want %v", field, id, sampled, theirs)
		}
	})
}

func TestCarrierJoinsRepeatedFields(t *testing.T) {
	var h exchange.Header
	h.Add("tracestate", "a=1")
	h.Add("Tracestate", "b=2")
	if got := (carrier{&h}).Get("tracestate"); got != "a=1,b=2" {
		t.Errorf("got %q", got)
	}
	if got := (carrier{&h}).Keys(); len(got) != 2 {
		t.Errorf("got %q", got)
	}
}
