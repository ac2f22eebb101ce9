package tier

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// Spans are recorded for sampled exchanges only: one for the tier, up to the
// response's head, and a child for each policy and direction.

// startSpan begins the tier's span, the parent of what follows.
func (w *Walk) startSpan(x *exchange.Exchange) {
	w.outer = x.Context()
	ctx, span := telemetry.StartSpan(w.outer, "tier "+w.tier.name,
		trace.WithAttributes(attribute.String("ergo.tier", w.tier.name)))
	w.span = span
	x.SetContext(ctx)
}

// endSpan ends it.
func (w *Walk) endSpan(x *exchange.Exchange) {
	if x.Failure != nil {
		w.span.SetStatus(codes.Error, string(x.Failure.Cause))
	}
	w.span.End()
	w.span = nil
	x.SetContext(w.outer)
}

// requestTraced is requestPhases within a span.
func (w *Walk) requestTraced(p *passage, x *exchange.Exchange) (policy.Verdict, error) {
	span, outside := w.startPolicySpan(p, x, "request")
	defer endPolicySpan(span, outside, x)
	verdict, err := w.requestPhases(p, x)
	word := "continue"
	if verdict == policy.Answer {
		word = "answer"
	}
	describe(span, word, err)
	return verdict, err
}

// responseTraced is responsePhases within a span.
func (w *Walk) responseTraced(p *passage, x *exchange.Exchange) error {
	phase := "response"
	if x.Failure != nil && p.use.failure != nil {
		phase = "failure"
	}
	span, outside := w.startPolicySpan(p, x, phase)
	defer endPolicySpan(span, outside, x)
	err := w.responsePhases(p, x)
	word := "continue"
	if p.outcome == telemetry.Answered {
		word = "answer"
	}
	describe(span, word, err)
	return err
}

func (w *Walk) startPolicySpan(p *passage, x *exchange.Exchange, phase string) (trace.Span, context.Context) {
	outside := x.Context()
	ctx, span := telemetry.StartSpan(outside, "policy "+p.use.slot.Name, trace.WithAttributes(
		attribute.String("ergo.policy", p.use.slot.Name),
		attribute.String("ergo.policy.version", p.use.slot.Version),
		attribute.String("ergo.stage", p.use.stage.name),
		attribute.String("ergo.phase", phase),
	))
	x.SetContext(ctx)
	return span, outside
}

func endPolicySpan(span trace.Span, outside context.Context, x *exchange.Exchange) {
	x.SetContext(outside)
	span.End()
}

func describe(span trace.Span, verdict string, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "policy failed")
		verdict = "failed"
	}
	span.SetAttributes(attribute.String("ergo.verdict", verdict))
}
