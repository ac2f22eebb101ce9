package upstream

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

func quickHealth(kind string) *manifest.Health {
	return &manifest.Health{Kind: kind, Path: "/health", Interval: manifest.Duration(5 * time.Millisecond),
		Timeout: manifest.Duration(time.Second), Healthy: 2, Unhealthy: 3}
}

// healthy reports what status says of each endpoint, by address.
func healthy(r *Registry) map[string]bool {
	all := map[string]bool{}
	for _, s := range r.Status() {
		all[s.Endpoint] = s.Healthy
	}
	return all
}

func TestHealthByHTTP(t *testing.T) {
	status := new(atomic.Int32)
	status.Store(204)
	hosts := make(chan string, 1000)
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			select {
			case hosts <- r.Host:
			default:
			}
			w.WriteHeader(int(status.Load()))
		}
	})
	up := settings(s.URL)
	up.Health = quickHealth("http")
	up.Host = "probed.example"
	r := registry(t)
	set := build(t, r, up)
	if got := <-hosts; got != "probed.example" {
		t.Errorf("asked for host %s", got)
	}
	status.Store(500)
	eventually(t, "sick endpoint", func() bool { return !healthy(r)[s.URL] })
	if set.Ready("up") || set.Ready("gone") {
		t.Error("an upstream without a healthy endpoint is ready")
	}
	f := set.Forward(ask("GET", "/", ""), "up")
	if f == nil || f.Cause != exchange.CauseNoEndpoint || f.Status != 503 || f.RetryAfter < time.Second {
		t.Errorf("none is healthy: got %v, retry after %v", f, f.RetryAfter)
	}
	status.Store(200)
	eventually(t, "recovered endpoint", func() bool { return healthy(r)[s.URL] })
	if !set.Ready("up") {
		t.Error("an upstream with a healthy endpoint is not ready")
	}
	get(t, set, "/")
}

func TestHealthWithListedStatus(t *testing.T) {
	s := origin(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(418) })
	up := settings(s.URL)
	up.Health = quickHealth("http")
	up.Health.Status = []int{418}
	r := registry(t)
	build(t, r, up)
	probes := func() *probe { return probeOf(r) }
	eventually(t, "first probe", func() bool { return probes().probed.Load() > 0 })
	if !healthy(r)[s.URL] {
		t.Error("a listed status does not count as healthy")
	}
}

// probeOf returns the only probe.
func probeOf(r *Registry) *probe {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.probes.parts {
		return p.value
	}
	return nil
}

func TestHealthByTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	stop := serveRaw(t, l, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	up := settings("http://" + address)
	up.Health = quickHealth("tcp")
	r := registry(t)
	build(t, r, up)
	eventually(t, "first probe", func() bool { return probeOf(r).probed.Load() > 0 })
	if !healthy(r)["http://"+address] {
		t.Error("an endpoint that accepts is not healthy")
	}
	stop()
	eventually(t, "sick endpoint", func() bool { return !healthy(r)["http://"+address] })
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	serveRaw(t, l, func(c net.Conn, _ int) { io.Copy(io.Discard, c) })
	eventually(t, "recovered endpoint", func() bool { return healthy(r)["http://"+address] })
}

// A real gRPC server is asked, in clear text and over TLS.
func TestHealthByGRPC(t *testing.T) {
	pki := newPKI(t)
	own := pki.issue("grpc.example")
	for scheme, options := range map[string][]grpc.ServerOption{
		"http":  nil,
		"https": {grpc.Creds(credentials.NewServerTLSFromCert(&own))},
	} {
		t.Run(scheme, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server, service := grpc.NewServer(options...), health.NewServer()
			healthpb.RegisterHealthServer(server, service)
			go server.Serve(l)
			t.Cleanup(server.Stop)
			set := func(s healthpb.HealthCheckResponse_ServingStatus) { service.SetServingStatus("shop.Cart", s) }
			set(healthpb.HealthCheckResponse_SERVING)

			url := scheme + "://" + l.Addr().String()
			up := settings(url)
			up.Protocol = "h2"
			up.TLS = &manifest.UpstreamTLS{CA: pki.caFile(), ServerName: "grpc.example"}
			up.Health = quickHealth("grpc")
			up.Health.Service = "shop.Cart"
			r := registry(t)
			build(t, r, up)
			eventually(t, "first probe", func() bool { return probeOf(r).probed.Load() > 0 })
			if !healthy(r)[url] {
				t.Error("a serving server is not healthy")
			}
			set(healthpb.HealthCheckResponse_NOT_SERVING)
			eventually(t, "sick endpoint", func() bool { return !healthy(r)[url] })
			set(healthpb.HealthCheckResponse_SERVING)
			eventually(t, "recovered endpoint", func() bool { return healthy(r)[url] })
			up.Health.Service = "no.such.Service"
			other := registry(t)
			build(t, other, up)
			eventually(t, "unknown service", func() bool { return !healthy(other)[url] })
		})
	}
}

// scripted answers probes from a list, by a clock that stands still otherwise.
type scripted struct {
	transport
	mu      sync.Mutex
	results []error
}

func (s *scripted) Check(context.Context, *manifest.Health, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.results) == 0 {
		return nil
	}
	err := s.results[0]
	s.results = s.results[1:]
	return err
}

func TestHealthThresholds(t *testing.T) {
	no := io.ErrUnexpectedEOF
	cases := []struct {
		name    string
		results []error
		want    []bool // after each
	}{
		{"the first result decides alone", []error{no, nil, nil}, []bool{false, false, true}},
		{"single failures don't matter", []error{nil, no, no, nil, no, no, nil}, []bool{true, true, true, true, true, true, true}},
		{"three failures in a row do", []error{nil, no, no, no, nil, no, nil, nil}, []bool{true, true, true, false, false, false, false, true}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := NewRegistry(Options{})
				p := newPool(r, "up", manifest.Upstream{Health: &manifest.Health{
					Interval: manifest.Duration(time.Second), Timeout: manifest.Duration(time.Second), Healthy: 2, Unhealthy: 3,
				}}, new(shared))
				m := &member{endpoint: &endpoint{upstream: "up"}, via: &scripted{results: c.results}}
				b := r.startProbe(p, m)
				for i, want := range c.want {
					if i > 0 {
						time.Sleep(1200 * time.Millisecond * 10 / 11) // one interval and its jitter
					}
					synctest.Wait()
					for int(b.probed.Load()) <= i {
						time.Sleep(10 * time.Millisecond)
					}
					if got := b.healthy.Load(); got != want {
						t.Errorf("after result %d: got healthy %v, want %v", i+1, got, want)
					}
				}
				b.stop()
				r.Close(t.Context())
			})
		})
	}
}

// Passive health: an endpoint that fails again and again is left alone.
func TestOutlierIsEjectedAndComesBack(t *testing.T) {
	sick := new(atomic.Bool)
	sick.Store(true)
	asked := new(atomic.Int32)
	bad := origin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if sick.Load() {
			w.WriteHeader(503)
		}
	})
	good := origin(t, func(http.ResponseWriter, *http.Request) {})
	up := settings(bad.URL, good.URL)
	up.Outlier.Failures, up.Outlier.Ejection = 3, manifest.Duration(200*time.Millisecond)
	events := &recordedMetrics{}
	r := NewRegistry(Options{Metrics: events})
	t.Cleanup(func() { r.Close(context.Background()) })
	set := build(t, r, up)
	for range 20 {
		get(t, set, "/")
	}
	if got := asked.Load(); got != 3 {
		t.Errorf("the sick endpoint was asked %d times, want 3", got)
	}
	var ejected int
	for _, s := range r.Status() {
		if !s.Ejected.IsZero() {
			ejected++
		}
	}
	if ejected != 1 || events.ejected.Load() != 1 {
		t.Errorf("got %d ejected and %d told, want 1 and 1", ejected, events.ejected.Load())
	}
	sick.Store(false)
	eventually(t, "return", func() bool { get(t, set, "/"); return asked.Load() > 3 })
}

type recordedMetrics struct {
	noMetrics
	ejected, retried, waited atomic.Int32
}

func (m *recordedMetrics) Ejected(string, string, time.Duration) { m.ejected.Add(1) }
func (m *recordedMetrics) Retried(string, string)                { m.retried.Add(1) }
func (m *recordedMetrics) Waited(string, time.Duration)          { m.waited.Add(1) }

func TestOutliersAreNotAllEjected(t *testing.T) {
	sick := func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }
	up := settings(origin(t, sick).URL, origin(t, sick).URL, origin(t, sick).URL, origin(t, sick).URL)
	up.Outlier.Failures = 1
	r := registry(t)
	set := build(t, r, up)
	for range 50 {
		get(t, set, "/")
	}
	ejected := 0
	for _, s := range r.Status() {
		if !s.Ejected.IsZero() {
			ejected++
		}
	}
	if ejected != 2 {
		t.Errorf("got %d of 4 ejected, want 50 %%", ejected)
	}
}

func TestBreakerAtTheUpstream(t *testing.T) {
	asked := new(atomic.Int32)
	s := origin(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(503)
	})
	up := settings(s.URL)
	up.Outlier.Failures = 0
	up.Breaker.FailureRate, up.Breaker.MinRequests = 50, 10
	set := build(t, registry(t), up)
	for range 10 {
		get(t, set, "/")
	}
	f := set.Forward(ask("GET", "/", ""), "up")
	if f == nil || f.Cause != exchange.CauseCircuitOpen || f.Status != 503 || f.RetryAfter == 0 || asked.Load() != 10 {
		t.Errorf("got %v after %d requests", f, asked.Load())
	}
	if got := set.registry.Status()[0].Breaker; got != "open" {
		t.Errorf("status: got %s", got)
	}
}
