package process

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// What a process can record with one event at most; more is dropped, and text cut.
const (
	maxSpans      = 64
	maxAttributes = 32
	maxSpanText   = 1 << 10
)

// record takes the spans of a sampled exchange in, under the policy's own. They can't have begun before the
// exchange, nor end later than now.
func (p *Policy) record(x *exchange.Exchange, spans []*pluginpb.Span) {
	first, last := x.Begun(), time.Now()
	for _, s := range spans[:min(len(spans), maxSpans)] {
		id := spanID(s.Id)
		if !id.IsValid() {
			continue
		}
		start := bounded(time.Unix(0, int64(s.Start)), first, last)
		end := bounded(start.Add(time.Duration(min(s.Nanoseconds, uint64(last.Sub(start))))), start, last)
		f := &telemetry.ForeignSpan{
			ID: id, Parent: spanID(s.Parent), Name: spanText(s.Name), Start: start, End: end, Error: spanText(s.Error),
			Attributes: []attribute.KeyValue{attribute.String("ergo.policy", p.name)},
		}
		for _, a := range s.Attributes[:min(len(s.Attributes), maxAttributes)] {
			f.Attributes = append(f.Attributes, attribute.String(spanText(a.GetName()), spanText(a.GetValue())))
		}
		telemetry.RecordForeign(x.Context(), f)
	}
}

// under has what is done for a call be part of the span that the process says it is of.
func under(ctx context.Context, id []byte) context.Context {
	if len(id) == 0 || !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return telemetry.Under(ctx, spanID(id))
}

// spanID is zero for what is none.
func spanID(b []byte) (id trace.SpanID) {
	if len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

func bounded(t, first, last time.Time) time.Time {
	if t.Before(first) {
		return first
	}
	if t.After(last) {
		return last
	}
	return t
}

func spanText(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxSpanText)], "") }
