package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/admin"
	"github.com/ergoproxy/ergo/host/cache"
	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/server"
	"github.com/ergoproxy/ergo/host/telemetry"
	"github.com/ergoproxy/ergo/host/wasm"
)

// host is a running host: all parts, put together.
type host struct {
	*parts
	control   *control
	server    *server.Server
	admin     *admin.Server // nil without an admin address
	telemetry *telemetry.Telemetry
	log       *telemetry.HostLog
	level     *slog.LevelVar

	watching sync.WaitGroup
	unwatch  context.CancelFunc
}

// startHost starts a host by a manifest that was read from path. Whatever it
// started is ended again if it returns an error.
func startHost(ctx context.Context, path string, m *manifest.Manifest, mode engine.Mode, out Streams) (*host, error) {
	h := &host{level: new(slog.LevelVar), unwatch: func() {}}
	h.level.Set(telemetry.ParseLevel(m.Host.Log.Level))
	h.log = telemetry.NewHostLog(out.Err, m.Host.Log.Format, h.level)
	if err := h.assemble(m, mode, out.Out); err != nil {
		h.log.Close()
		return nil, err
	}
	h.control = &control{Engine: h.engine, path: path, wanted: path, policies: sources(m), log: h.log.Logger, swapped: h.settle}
	if err := h.open(ctx, m); err != nil {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout(m))
		defer cancel()
		return nil, errors.Join(err, h.shutdown(end))
	}
	return h, nil
}

// assemble makes the parts, of which none does anything yet.
func (h *host) assemble(m *manifest.Manifest, mode engine.Mode, accessLog io.Writer) error {
	var err error
	if h.telemetry, err = telemetry.New(telemetryConfig(m.Telemetry), version(), h.log.Logger); err != nil {
		return err
	}
	h.log.Count(h.telemetry.Metrics.DroppedLines("host"))
	if m.Host.Log.Access {
		h.telemetry.Access = telemetry.NewAccessLog(accessLog, m.Host.Log.Format, h.telemetry.Metrics.DroppedLines("access"))
	}
	listeners := new(doors)
	if h.parts, err = newParts(wiring{
		mode: mode, guests: wasm.Options{CacheDir: m.Host.CompiledDir()}, state: m.State, responses: m.Cache,
		telemetry: h.telemetry, listeners: listeners, log: h.log.Logger,
	}); err != nil {
		last, cancel := context.WithTimeout(context.Background(), lastTimeout)
		defer cancel()
		if errors.Is(err, cache.ErrDisk) {
			err = manifest.Problems{m.Source().Problem("cache.disk", err.Error(),
				"choose a folder that this host can write to and no other has, or end the host that has this one")}
		}
		return errors.Join(err, h.telemetry.Shutdown(last))
	}
	h.server = server.New(h.engine, server.Options{
		Log: h.log.Logger, RED: h.telemetry.Metrics.Listener,
		MaxConnections: m.Host.MaxConnections, DrainTimeout: m.Host.DrainTimeout.D(),
	})
	listeners.server = h.server
	h.telemetry.Metrics.SetSource(func() telemetry.Snapshot {
		return snapshot(h.engine.Status(), h.state.Stats(), h.caches.stats())
	})
	return nil
}

// open builds the first generation and begins to serve. The admin API comes
// first, so that whoever asks is told that the host is starting.
func (h *host) open(ctx context.Context, m *manifest.Manifest) error {
	if m.Host.Watch {
		h.watch()
	}
	if m.Host.Admin != "" {
		opts := admin.Options{
			Address: m.Host.Admin, Token: m.Host.AdminToken, Host: h.control, Caches: h.caches, Version: version(), Log: h.log.Logger,
		}
		if m.Telemetry.Prometheus {
			opts.Metrics = h.telemetry.Metrics.Handler(h.log.Logger)
		}
		var err error
		if h.admin, err = admin.Listen(opts); err != nil {
			return manifest.Problems{m.Source().Problem("host.admin", err.Error(),
				"choose another address, or end the host that has this one")}
		}
	}
	_, err := h.control.Swap(ctx, "start", engine.Source{})
	return err
}

// watch swaps when files change, until shutdown.
func (h *host) watch() {
	ctx, cancel := context.WithCancel(context.Background())
	h.unwatch = cancel
	w := &watcher{
		paths: h.control.watched,
		changed: func(paths []string) {
			// What is wrong is in the log and the history.
			_, _ = h.control.Swap(ctx, "watch", h.control.sourceFor(paths))
		},
		log:   h.log.Logger,
		quiet: watchQuiet,
	}
	w.begin()
	h.control.look = w.look
	h.watching.Go(func() { w.run(ctx) })
}

// shutdown ends everything, last the log; exchanges in flight have until ctx
// ends.
func (h *host) shutdown(ctx context.Context) error {
	h.unwatch()
	h.watching.Wait()
	if h.admin != nil {
		h.admin.Drain()
	}
	cut := h.server.Shutdown(ctx)
	if cutOff(cut) {
		h.log.Warn("exchanges were cut off", "err", cut)
	}
	// What is left has its own short time, so that a full drain does not cost
	// the last spans and log lines.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
	defer cancel()
	errs := []error{cut, h.close(last)}
	if err := h.telemetry.Shutdown(last); err != nil {
		h.log.Warn("the last spans and metrics are lost", "err", err) // harms nothing
	}
	if h.admin != nil {
		errs = append(errs, h.admin.Shutdown(last))
	}
	h.log.Close()
	return errors.Join(errs...)
}

// cutOff reports whether the server was shut down before its last exchange ended.
func cutOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lastTimeout is for ending parts that no exchange uses any more.
const lastTimeout = 5 * time.Second

func shutdownTimeout(m *manifest.Manifest) time.Duration { return m.Host.ShutdownTimeout.D() }

// settle applies what a new generation says of the process, as far as it can
// change while the process runs.
func (h *host) settle(m *manifest.Manifest) {
	h.level.Set(telemetry.ParseLevel(m.Host.Log.Level))
	h.server.SetMaxConnections(m.Host.MaxConnections)
	h.telemetry.Tracer.SetSample(m.Telemetry.Sample)
}

// announce logs where the host can be reached, ahead of what is printed next.
func (h *host) announce() {
	for name, address := range h.server.Addrs() {
		h.log.Info("listening", "listener", name, "address", address.String())
	}
	if h.admin != nil {
		h.log.Info("admin API", "address", h.admin.Address())
	}
	h.log.Flush()
}

// telemetryConfig is the manifest's [telemetry].
func telemetryConfig(t manifest.Telemetry) telemetry.Config {
	headers := make(map[string]string, len(t.OTLPHeaders))
	for name, value := range t.OTLPHeaders {
		headers[name] = value.Reveal()
	}
	return telemetry.Config{
		OTLP: t.OTLP, Headers: headers, Sample: t.Sample, Service: t.ServiceName, Interval: t.Interval.D(),
	}
}
