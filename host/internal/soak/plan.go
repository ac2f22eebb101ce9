package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// plan is one soak.
type plan struct {
	policies string // folder of the shipped policies
	swaps    int
	progress io.Writer // nil: none
	memory   string    // the host's metric that memory is measured by
	collect  func()    // called before it is; nil: nothing
}

// report is what a soak that went well has seen.
type report struct {
	swaps     int
	exchanges map[string]int64 // completed, by kind of traffic
	before    gauges
	after     gauges
	took      time.Duration
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d swaps in %v, no failed exchange, none that saw two generations, no dropped connection\n",
		r.swaps, r.took.Round(time.Millisecond))
	for _, k := range traffic {
		fmt.Fprintf(&b, "  %-12s %8d\n", k.name, r.exchanges[k.name])
	}
	fmt.Fprintf(&b, "  goroutines   %8.0f -> %.0f\n  memory MiB   %8.1f -> %.1f",
		r.before.goroutines, r.after.goroutines, r.before.memoryMiB, r.after.memoryMiB)
	return b.String()
}

// start starts a host on a manifest and returns how to stop it and what it logged.
type start func(ctx context.Context, manifest string) (stop func() error, log func() string, err error)

// run carries out the plan in folder, which must be empty.
func (p plan) run(ctx context.Context, folder string, host start) (*report, error) {
	o, err := startOrigins()
	if err != nil {
		return nil, err
	}
	defer o.stop()
	v, err := newVariants(p.policies, folder, o)
	if err != nil {
		return nil, err
	}
	if err := v.write(0); err != nil {
		return nil, err
	}
	stop, log, err := host(ctx, v.manifest)
	if err != nil {
		return nil, err
	}
	r, err := p.soak(ctx, v)
	if err = errors.Join(err, stop()); err != nil {
		return nil, fmt.Errorf("%w\nthe host's last words:\n%s", err, tail(log(), 4000))
	}
	return r, nil
}

// soak keeps traffic going while it swaps.
func (p plan) soak(ctx context.Context, v *variants) (*report, error) {
	admin := newAdmin(v.socket, &p)
	if err := admin.waitReady(ctx); err != nil {
		return nil, err
	}
	started := time.Now()
	r := &report{swaps: p.swaps, exchanges: map[string]int64{}}

	// A first round of swaps and traffic fills pools and caches: what memory is
	// measured against.
	if err := p.round(ctx, admin, v, min(50, p.swaps/10+1), nil); err != nil {
		return nil, err
	}
	var err error
	if r.before, err = admin.settle(ctx); err != nil {
		return nil, err
	}
	if err := p.round(ctx, admin, v, p.swaps, r.exchanges); err != nil {
		return nil, err
	}
	if r.after, err = admin.settleTo(ctx, r.before); err != nil {
		return nil, err
	}
	r.took = time.Since(started)
	return r, nil
}

// round swaps that many times under load and then ends the load.
func (p plan) round(ctx context.Context, admin *admin, v *variants, swaps int, count map[string]int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	loading, quit := context.WithCancel(ctx) // ends the load without cutting exchanges
	defer quit()
	var wg sync.WaitGroup
	counts := make([]int64, len(traffic))
	for i, kind := range traffic {
		wg.Go(func() {
			n, err := kind.drive(ctx, loading, v)
			counts[i] = n
			if err != nil {
				cancel(fmt.Errorf("%s, after %d exchanges: %w", kind.name, n, err))
			}
		})
	}
	err := p.swap(ctx, admin, v, swaps)
	quit()
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return cause
	}
	if err != nil {
		return err
	}
	for i, kind := range traffic {
		if counts[i] == 0 {
			return fmt.Errorf("%s: no exchange was completed", kind.name)
		}
		if count != nil {
			count[kind.name] = counts[i]
		}
	}
	return nil
}

func (p plan) swap(ctx context.Context, admin *admin, v *variants, swaps int) error {
	for n := 1; n <= swaps && ctx.Err() == nil; n++ {
		if err := v.write(v.n + 1); err != nil {
			return err
		}
		if err := admin.swap(ctx, v.manifest); err != nil && ctx.Err() == nil {
			return fmt.Errorf("swap %d: %w", n, err)
		}
		if p.progress != nil && (n%100 == 0 || n == swaps) {
			fmt.Fprintf(p.progress, "\r%d of %d swaps", n, swaps)
			if n == swaps {
				fmt.Fprintln(p.progress)
			}
		}
	}
	return nil
}

// variants writes manifests that differ from one another in everything a swap
// may change, and mark each exchange with their number in all four phases.
type variants struct {
	n                     int
	folder, manifest      string
	router                string // the policy folder
	socket, plain, secure string // admin socket and the listeners' addresses
	certificate, key      string
	origins               *origins
}

func newVariants(policies, folder string, o *origins) (*variants, error) {
	v := &variants{folder: folder, manifest: filepath.Join(folder, "proxy.toml"), socket: filepath.Join(folder, "admin.sock"), origins: o}
	for version := range 2 {
		if err := copyPolicy(filepath.Join(policies, "headers"), v.source(version), version); err != nil {
			return nil, err
		}
	}
	var err error
	if v.router, err = filepath.Abs(filepath.Join(policies, "router")); err != nil {
		return nil, err
	}
	if v.plain, err = freeAddress(); err != nil {
		return nil, err
	}
	if v.secure, err = freeAddress(); err != nil {
		return nil, err
	}
	v.certificate, v.key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	return v, writeCertificate(v.certificate, v.key)
}

func (v *variants) source(version int) string {
	return filepath.Join(v.folder, fmt.Sprintf("headers-%d", version%2))
}

// copyPolicy copies a policy; versions above 0 get other bytes, and so another
// digest, by a custom section that changes nothing else.
func copyPolicy(from, to string, version int) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	if version == 0 {
		return nil
	}
	module, err := os.OpenFile(filepath.Join(to, "policy.wasm"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = module.Write([]byte{0, 6, 4, 's', 'o', 'a', 'k', 0}) // custom section "soak" of one byte
	return errors.Join(err, module.Close())
}

// freeAddress returns a loopback address with a port that is free now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// write makes variant n the manifest, by renaming it into place.
func (v *variants) write(n int) error {
	v.n = n
	stages := []string{v.stage("edge", "mark"), noiseStage}
	if n%2 == 1 {
		stages[0], stages[1] = stages[1], stages[0]
	}
	text := fmt.Sprintf(head, v.socket, filepath.Join(v.folder, "data"), v.plain, v.secure, v.certificate, v.key,
		v.endpoints(), []string{"least-request", "round-robin", "random"}[n%3], v.source(n/3), v.router) +
		strings.Join(stages, "") + "\n[service]\nupstream = \"origin\"\n" + v.stage("service", "mark")
	temporary := v.manifest + ".new"
	if err := os.WriteFile(temporary, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, v.manifest)
}

const head = `version = 1
[host]
admin = "unix:%s"
data = %q
watch = false
log = { access = false, level = "warn" }
[[listener]]
name = "plain"
address = %q
[[listener]]
name = "secure"
address = %q
tls.certificates = [{ cert = %q, key = %q }]
[upstream.origin]
endpoints = [%s]
balance = %q
[upstream.grpc]
endpoints = [%[7]s]
balance = %[8]q
protocol = "h2"
[policy.headers]
source = %[9]q
limits.time = "10s" # a busy machine is no reason to fail
[policy.router]
source = %[10]q
grants = ["ergo_identity", "ergo_route"]
limits.time = "10s"
[edge]
[[edge.stage]]
name = "route"
  [[edge.stage.use]]
  policy = "router"
  config.rules = [{ header = { content-type = "application/grpc" }, upstream = "grpc" }]
`

const noiseStage = `
[[edge.stage]]
name = "noise"
  [[edge.stage.use]]
  policy = "headers"
  config.request.set = { x-noise = "1" }
`

func (v *variants) endpoints() string {
	both := [2]string{fmt.Sprintf("%q", v.origins.urls[0]), fmt.Sprintf("%q", v.origins.urls[1])}
	return []string{both[0] + ", " + both[1], both[0], both[1]}[v.n%3]
}

func (v *variants) stage(tier, name string) string {
	return fmt.Sprintf(`
[[%[1]s.stage]]
name = %[2]q
  [[%[1]s.stage.use]]
  policy = "headers"
  config.request.set = { x-%[1]s-request = "%[3]d" }
  config.response.set = { x-%[1]s-response = "%[3]d" }
`, tier, name, v.n)
}

// tail returns the last n bytes of s.
func tail(s string, n int) string { return s[max(0, len(s)-n):] }
