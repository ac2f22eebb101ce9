// Package telemetry is how the host is seen from outside: metrics, traces, the
// host's log and the access log.
//
// Metrics are counted in a Prometheus registry, served as text and, with a
// collector configured, pushed to it as OTLP. Traces are OpenTelemetry's. This
// is the only package that knows the OpenTelemetry SDK; others record through
// RED and OpenTelemetry's API.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Config says where traces and metrics go.
type Config struct {
	// OTLP is the base URL of an OTLP/HTTP collector; empty: nothing is exported
	// and nothing traced.
	OTLP     string
	Headers  map[string]string // of every export; may hold secrets
	Sample   float64           // share of exchanges without a parent that are traced, 0 to 1
	Service  string            // service.name; default "ergo"
	Interval time.Duration     // between metric exports; default 15s
}

// Telemetry is the host's metrics, traces and access log. It is safe for
// concurrent use. A nil *Telemetry, and nil parts of one, do nothing.
type Telemetry struct {
	Metrics *Metrics
	Tracer  *Tracer    // nil without a collector
	Access  *AccessLog // nil until somebody sets it, before the first exchange

	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
}

// New starts telemetry; version is the host's. A collector that cannot be
// reached is logged, at most once a minute, and harms nothing: what it misses is
// lost. Shutdown ends it.
func New(cfg Config, version string, log *slog.Logger) (*Telemetry, error) {
	t := &Telemetry{Metrics: NewMetrics(version)}
	if cfg.OTLP == "" {
		return t, nil
	}
	if err := t.export(cfg, version, log); err != nil {
		return nil, fmt.Errorf("export to %s: %w", cfg.OTLP, err)
	}
	t.Tracer = newTracer(t.traces, cfg.Sample)
	return t, nil
}

// StartServer is Tracer.StartServer.
func (t *Telemetry) StartServer(x *exchange.Exchange) trace.Span {
	if t == nil {
		return nil
	}
	return t.Tracer.StartServer(x)
}

// EndServer ends the exchange's span, if StartServer returned one, and writes
// its line in the access log. The exchange's last byte has been sent.
func (t *Telemetry) EndServer(x *exchange.Exchange, span trace.Span) {
	if t == nil {
		return
	}
	elapsed := x.Lap() - x.Began
	t.Access.Log(x, elapsed)
	t.Tracer.EndServer(x, span)
}

// Swap counts an attempt to change the generation. cause and result are words of
// the engine's, few and fixed.
func (t *Telemetry) Swap(cause, result string) {
	if t != nil {
		t.Metrics.swaps.WithLabelValues(cause, result).Inc()
	}
}

// Shutdown sends and writes what is still to be sent and written, until ctx ends.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.Access.Close()
	if t.traces == nil {
		return nil
	}
	return errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx))
}
