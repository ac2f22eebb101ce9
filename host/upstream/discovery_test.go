package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
)

// names is a resolver.
type names struct {
	mu    sync.Mutex
	addrs []netip.Addr
	err   error
	asked []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	return slices.Clone(n.addrs), n.err
}

func (n *names) set(err error, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.addrs = err, nil
	for _, a := range addrs {
		n.addrs = append(n.addrs, netip.MustParseAddr(a))
	}
}

func (n *names) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked)
}

func endpoints(r *Registry) (urls []string) {
	for _, s := range r.Status() {
		urls = append(urls, s.Endpoint)
	}
	return urls
}

func TestDiscoveryByDNS(t *testing.T) {
	s := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) })
	u, _ := url.Parse(s.URL)
	resolver := &names{}
	resolver.set(nil, "127.0.0.1")
	r := NewRegistry(Options{Resolver: resolver})
	defer r.Close(context.Background())
	up := settings()
	up.Host = "endpoint"
	up.Discovery = &manifest.Discovery{DNS: "http://shop.example:" + u.Port(), Interval: manifest.Duration(5 * time.Millisecond)}
	set := build(t, r, up)
	if _, body := get(t, set, "/"); body != "shop.example:"+u.Port() {
		t.Errorf("asked for host %q, want the name", body)
	}
	resolver.set(nil, "127.0.0.1", "127.0.0.2", "::1", "127.0.0.1")
	want := []string{"http://127.0.0.1:" + u.Port(), "http://127.0.0.2:" + u.Port(), "http://[::1]:" + u.Port()}
	eventually(t, "new addresses", func() bool { return slices.Equal(endpoints(r), want) })

	// A look-up that fails, or finds nothing, changes nothing.
	resolver.set(errors.New("name server is down"))
	asked := resolver.count()
	eventually(t, "look-ups", func() bool { return resolver.count() > asked+2 })
	resolver.set(nil)
	asked = resolver.count()
	eventually(t, "look-ups", func() bool { return resolver.count() > asked+2 })
	if got := endpoints(r); !slices.Equal(got, want) {
		t.Errorf("got %v, want the last good ones", got)
	}
	set.Close()
	asked = resolver.count()
	eventually(t, "end", func() bool { return len(r.Status()) == 0 })
	if got := resolver.count(); got != asked {
		t.Errorf("looked up after Close")
	}
}

func TestDiscoveryStartsWithoutNetwork(t *testing.T) {
	s := origin(t, func(http.ResponseWriter, *http.Request) {})
	u, _ := url.Parse(s.URL)
	resolver := &names{}
	resolver.set(errors.New("no network"))
	r := NewRegistry(Options{Resolver: resolver})
	defer r.Close(context.Background())
	up := settings()
	up.Discovery = &manifest.Discovery{DNS: "http://shop.example:" + u.Port(), Interval: manifest.Duration(5 * time.Millisecond)}
	set := build(t, r, up)
	if f := set.Forward(ask("GET", "/", ""), "up"); f == nil || f.Cause != exchange.CauseNoEndpoint {
		t.Errorf("got %v, want no endpoint", f)
	}
	resolver.set(nil, "127.0.0.1")
	eventually(t, "endpoint", func() bool { return set.Forward(ask("GET", "/", ""), "up") == nil })
}

func TestDiscoveryByFile(t *testing.T) {
	a := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a") })
	b := origin(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "b") })
	path := filepath.Join(t.TempDir(), "endpoints.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil { // as editors and controllers do
			t.Fatal(err)
		}
	}
	up := settings()
	up.Discovery = &manifest.Discovery{File: path}
	r := registry(t)
	if _, err := r.Build(map[string]manifest.Upstream{"shop": up}); err == nil || !strings.Contains(err.Error(), "upstream shop") {
		t.Errorf("no file: got %v, want an error that names the upstream", err)
	}
	write(`endpoints = ["` + a.URL + `"]`)
	set := build(t, r, up)
	if _, body := get(t, set, "/"); body != "a" {
		t.Errorf("got %q", body)
	}
	write(`endpoints = [{ url = "` + b.URL + `", weight = 5 }]`)
	eventually(t, "new endpoint", func() bool { return slices.Equal(endpoints(r), []string{b.URL}) })
	if _, body := get(t, set, "/"); body != "b" || r.Status()[0].Weight != 5 {
		t.Errorf("got %q, weight %d", body, r.Status()[0].Weight)
	}
	write(`endpoints = [ broken`)
	d := set.pools["up"].discovery
	if err := d.refresh(t.Context()); err != nil {
		t.Logf("refused: %v", err)
	}
	if got := endpoints(r); !slices.Equal(got, []string{b.URL}) {
		t.Errorf("a broken file changed the endpoints: %v", got)
	}
}
