package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	exportTimeout = 10 * time.Second
	exportLogGap  = time.Minute
	spanQueue     = 4096 // spans that wait for export; more are dropped
	spanBatch     = 512
)

// export makes the providers that push to the collector.
func (t *Telemetry) export(cfg Config, version string, log *slog.Logger) error {
	if u, err := url.Parse(cfg.OTLP); err != nil {
		return err
	} else if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("it is not an http or https URL")
	}
	ctx := context.Background() // the exporters connect when they first export
	base := strings.TrimRight(cfg.OTLP, "/")
	spans, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(base+"/v1/traces"),
		otlptracehttp.WithHeaders(cfg.Headers),
		otlptracehttp.WithTimeout(exportTimeout))
	if err != nil {
		return err
	}
	points, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(base+"/v1/metrics"),
		otlpmetrichttp.WithHeaders(cfg.Headers),
		otlpmetrichttp.WithTimeout(exportTimeout))
	if err != nil {
		return err
	}
	if cfg.Service == "" {
		cfg.Service = "ergo"
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 15 * time.Second
	}
	about := resource.NewSchemaless(semconv.ServiceName(cfg.Service), semconv.ServiceVersion(version))
	quiet := &rareLog{log: log}
	// What the SDK cannot return to a caller, such as a partial success.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { quiet.warn("otlp", err) }))

	t.traces = sdktrace.NewTracerProvider(
		sdktrace.WithResource(about), sdktrace.WithIDGenerator(ids{}),
		// Tracer has decided before it starts a span.
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())),
		sdktrace.WithBatcher(&spanExporter{spans, t.Metrics.exportResult("traces", quiet)},
			sdktrace.WithMaxQueueSize(spanQueue), sdktrace.WithMaxExportBatchSize(spanBatch)))
	t.meters = sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(about),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(
			&pointExporter{points, t.Metrics.exportResult("metrics", quiet)},
			sdkmetric.WithInterval(cfg.Interval), sdkmetric.WithTimeout(exportTimeout),
			sdkmetric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(t.Metrics.registry))))))
	return nil
}

// exportResult returns what counts and logs how an export ended.
func (m *Metrics) exportResult(signal string, quiet *rareLog) func(error) {
	ok, failed := m.exports.WithLabelValues(signal, "ok"), m.exports.WithLabelValues(signal, "failed")
	return func(err error) {
		if err == nil {
			ok.Inc()
			return
		}
		failed.Inc()
		quiet.warn("export "+signal, err)
	}
}

// spanExporter reports the end of each export. An error ends here: the SDK could
// only log it.
type spanExporter struct {
	sdktrace.SpanExporter
	ended func(error)
}

func (e *spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.ended(e.SpanExporter.ExportSpans(ctx, spans))
	return nil
}

// pointExporter is spanExporter for metrics.
type pointExporter struct {
	sdkmetric.Exporter
	ended func(error)
}

func (e *pointExporter) Export(ctx context.Context, points *metricdata.ResourceMetrics) error {
	e.ended(e.Exporter.Export(ctx, points))
	return nil
}

// rareLog logs at most one line each exportLogGap.
type rareLog struct {
	log  *slog.Logger
	next atomic.Int64 // Unix nanoseconds before which nothing is logged
}

func (l *rareLog) warn(what string, err error) {
	now := time.Now().UnixNano()
	next := l.next.Load()
	if now < next || !l.next.CompareAndSwap(next, now+int64(exportLogGap)) {
		return
	}
	l.log.Warn(what, "err", err, "repeats", "not logged for "+exportLogGap.String())
}
