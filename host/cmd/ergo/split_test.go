package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

const serviceHosts = 3

// TestSplitTiers runs the tiers as processes of their own and kills service
// hosts one after another under load.
func TestSplitTiers(t *testing.T) {
	s := newSplit(t)
	l := s.load()
	l.waitFor(50)
	for victim := range serviceHosts - 1 {
		s.hosts[victim].kill()
		l.killed(victim)
		s.waitOut(victim)
		l.settled()
		l.waitFor(50)
	}
	s.hosts[serviceHosts-1].kill()
	l.stop()
	s.expectTierDown()

	// One that comes back is enough.
	s.startHost(0)
	hosttest.Eventually(t, func() bool { return s.get("GET", 0).status == 200 }, "the edge finds the host that came back")
	again := s.load()
	again.waitFor(50)
	again.settled()
	again.waitFor(50)
	again.stop()
}

// split is an edge host with service hosts behind it, each a process.
type split struct {
	t      *testing.T
	folder string
	binary string
	url    string // of the edge
	admin  *http.Client
	links  [serviceHosts]string
	hosts  [serviceHosts]*process

	mu  sync.Mutex
	via map[string]string // the service host that brought an exchange to the origin
}

// prepare makes the folder of hosts that are processes: the program, and a certificate.
func prepare(t *testing.T) *split {
	s := &split{t: t, folder: t.TempDir(), via: map[string]string{}}
	s.binary = filepath.Join(s.folder, "ergo")
	build(t, s.binary)
	ca := hosttest.NewCA(t)
	ca.WriteCA(t, s.folder)
	ca.Write(t, s.folder, "host", "127.0.0.1")
	return s
}

func newSplit(t *testing.T) *split {
	s := prepare(t)
	origin := httptest.NewServer(http.HandlerFunc(s.origin))
	t.Cleanup(origin.Close)

	public := freeAddress(t)
	s.url = "http://" + public
	for i := range s.links {
		s.links[i] = freeAddress(t)
	}
	policies, err := filepath.Abs(filepath.Join(root, "policies"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range serviceHosts + 1 {
		s.mark(i, public, origin.URL, policies)
	}
	for i := range s.hosts {
		s.startHost(i)
	}
	start(t, s.binary, s.folder, "run", "--tier", "edge", "-c", s.manifest(serviceHosts))
	s.admin = over(s.socket(serviceHosts))
	waitReady(t, s.admin, "http://admin/readyz")
	return s
}

func (s *split) manifest(i int) string { return filepath.Join(s.folder, fmt.Sprintf("%d.toml", i)) }
func (s *split) socket(i int) string   { return filepath.Join(s.folder, fmt.Sprintf("%d.sock", i)) }

func (s *split) startHost(i int) {
	s.hosts[i] = start(s.t, s.binary, s.folder, "run", "--tier", "service", "-c", s.manifest(i))
	waitReady(s.t, over(s.socket(i)), "http://admin/readyz")
}

// write writes the manifest of process i: the same for all, but for the addresses, what has to
// differ on one machine, and the rest.
func (s *split) write(i int, public, link string, services []string, rest string) {
	s.t.Helper()
	var endpoints []string
	for _, service := range services {
		endpoints = append(endpoints, strconv.Quote(service))
	}
	text := fmt.Sprintf(`version = 1
[host]
admin = "unix:%s"
data = "data%d"
log.format = "json"
[[listener]]
address = %q
[[listener]]
name = "link"
link = true
address = %q
tls = { certificates = [{ cert = "host.pem", key = "host.key" }], client_auth = "required", client_ca = "ca.pem" }
[split]
hosts = "services"
retry_after = "7s"
[upstream.services]
endpoints = [%s]
tls = { ca = "ca.pem", cert = "host.pem", key = "host.key" }
health = { kind = "tcp", interval = "50ms", timeout = "500ms", healthy = 1, unhealthy = 1 }
timeout = "3s"
`, s.socket(i), i, public, link, strings.Join(endpoints, ", "))
	if err := os.WriteFile(s.manifest(i), []byte(text+rest), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// mark has process i leave its marks in front of an origin.
func (s *split) mark(i int, public, origin, policies string) {
	s.t.Helper()
	var services []string
	for _, l := range s.links {
		services = append(services, "https://"+l)
	}
	s.write(i, public, s.links[i%serviceHosts], services, fmt.Sprintf(marking, origin, filepath.Join(policies, "headers"), i))
}

// marking has each tier, and each service host, leave its mark.
const marking = `[upstream.origin]
endpoints = [%[1]q]
[policy.headers]
source = %[2]q
[edge]
[[edge.stage]]
name = "edge"
[[edge.stage.use]]
policy = "headers"
config.request.set = { x-edge = "1" }
[service]
upstream = "origin"
[[service.stage]]
name = "service"
[[service.stage.use]]
policy = "headers"
config.request.set = { x-host = "%[3]d" }
config.response.set = { x-host = "%[3]d" }
`

// origin notes who brought an exchange, and takes its time, so that kills meet
// exchanges inside.
func (s *split) origin(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("x-edge") == "" || r.Header.Get("ergo-link") != "" || r.Header.Get("x-forwarded-for") != "127.0.0.1" {
		http.Error(w, "the request is not what one process would have sent", 500)
		return
	}
	s.mu.Lock()
	s.via[r.Header.Get("x-id")] = r.Header.Get("x-host")
	s.mu.Unlock()
	time.Sleep(10 * time.Millisecond) // the origin's work
	io.WriteString(w, "done")
}

// outcome is how one exchange ended, for its client.
type outcome struct {
	method, id string
	began      time.Time
	status     int
	retryAfter string
	err        error
}

var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func (s *split) get(method string, id int64) outcome {
	o := outcome{method: method, id: fmt.Sprint(id), began: time.Now()}
	req, err := http.NewRequest(method, s.url+"/", strings.NewReader(""))
	if err != nil {
		o.err = err
		return o
	}
	req.Header.Set("x-id", o.id)
	resp, err := client.Do(req)
	if err != nil {
		o.err = err
		return o
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		o.err = err
	}
	o.status, o.retryAfter = resp.StatusCode, resp.Header.Get("retry-after")
	return o
}

// waitOut waits until the edge no longer counts on a host.
func (s *split) waitOut(victim int) {
	hosttest.Eventually(s.t, func() bool {
		resp, err := s.admin.Get("http://admin/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "ergo_upstream_endpoint_healthy") && strings.Contains(line, s.links[victim]) {
				return strings.HasSuffix(strings.TrimSpace(line), " 0")
			}
		}
		return false
	}, "the edge takes the killed host out")
}

// expectTierDown checks the edge's answer with no service host left.
func (s *split) expectTierDown() {
	s.t.Helper()
	for range 10 {
		if o := s.get("GET", -1); o.err != nil || o.status != 503 || o.retryAfter != "7" {
			s.t.Errorf("with all service hosts gone: %+v, want 503 with Retry-After 7", o)
		}
	}
}

// load is a number of clients, half of them with requests that must not be
// sent twice.
type load struct {
	s    *split
	quit atomic.Bool
	done atomic.Int64 // exchanges
	wg   sync.WaitGroup

	nextID atomic.Int64

	mu     sync.Mutex
	failed []outcome
	victim string // the host that was killed last
}

func (s *split) load() *load {
	l := &load{s: s}
	for i := range 8 {
		method := []string{"GET", "POST"}[i%2]
		l.wg.Go(func() {
			for !l.quit.Load() {
				o := s.get(method, l.nextID.Add(1))
				l.done.Add(1)
				if o.err != nil || o.status != 200 {
					l.mu.Lock()
					l.failed = append(l.failed, o)
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

// waitFor waits for that many more exchanges.
func (l *load) waitFor(n int64) {
	goal := l.done.Load() + n
	hosttest.Eventually(l.s.t, func() bool { return l.done.Load() >= goal }, "exchanges go on")
}

// killed says that a host is gone: what fails from before now must have been
// inside it.
func (l *load) killed(victim int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.victim = strconv.Itoa(victim)
}

// settled checks the failures so far and expects none from now on.
func (l *load) settled() {
	began := time.Now()
	l.waitFor(20) // what was under way has ended
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.failed {
		l.s.mu.Lock()
		via := l.s.via[o.id]
		l.s.mu.Unlock()
		switch {
		case o.began.After(began):
			l.s.t.Errorf("failed with other hosts up: %+v", o)
		case o.method == "GET":
			l.s.t.Errorf("a request that may be sent again failed: %+v", o)
		case via != "" && via != l.victim:
			l.s.t.Errorf("failed inside host %s, while %s was killed: %+v", via, l.victim, o)
		}
	}
	if len(l.failed) > 8 {
		l.s.t.Errorf("%d exchanges failed, more than were under way", len(l.failed))
	}
	l.failed = nil
}

// stop ends the load.
func (l *load) stop() {
	l.quit.Store(true)
	l.wg.Wait()
}
