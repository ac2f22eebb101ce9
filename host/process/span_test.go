package process

import (
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// What a process says of its spans is held to bounds: when they were, how many there are, how long their text is.
func TestRecordIsBounded(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, outer := provider.Tracer("test").Start(t.Context(), "policy")
	x := newExchange()
	x.Sampled, x.Began = true, exchange.Clock()
	x.SetContext(ctx)
	id := []byte("12345678")
	long := strings.Repeat("x", 4*maxSpanText)
	odd := []*pluginpb.Span{
		{}, {Id: id[:3], Name: "no id"}, {Id: make([]byte, 8), Name: "zero"},
		{Id: id, Name: long, Error: "\xff" + long, Start: 1, Nanoseconds: 1 << 63, Attributes: []*pluginpb.Note{nil, {Name: long, Value: long}}},
		{Id: id, Name: "late", Start: 1 << 62, Nanoseconds: 1},
	}
	for range 2 * maxAttributes {
		odd[3].Attributes = append(odd[3].Attributes, &pluginpb.Note{Name: "a"})
	}
	for range 2 * maxSpans {
		odd = append(odd, &pluginpb.Span{Id: id, Name: "more"})
	}
	p := &Policy{name: "subject"}
	before := time.Now().Add(-time.Minute)
	p.record(x, odd)
	outer.End()
	ended := recorder.Ended()
	if len(ended) != maxSpans-3+1 {
		t.Errorf("got %d spans", len(ended))
	}
	for _, s := range ended {
		if s.StartTime().Before(before) || s.EndTime().After(time.Now()) || s.EndTime().Before(s.StartTime()) {
			t.Errorf("%s was from %v to %v", s.Name(), s.StartTime(), s.EndTime())
		}
		if len(s.Name()) > maxSpanText || len(s.Status().Description) > maxSpanText || len(s.Attributes()) > maxAttributes+1 {
			t.Errorf("%d bytes of name, %d of error, %d attributes", len(s.Name()), len(s.Status().Description), len(s.Attributes()))
		}
	}
}
