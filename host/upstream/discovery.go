package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

var errNoAddress = errors.New("name has no address")

// discovery keeps a list of endpoints current. It is shared by generations that
// discover in the same way.
type discovery struct {
	key      string // on the shelf
	registry *Registry
	upstream string
	conf     manifest.Discovery
	cancel   context.CancelFunc
	done     chan struct{}
	stamp    fileStamp // of the file as it was last read

	// Guarded by registry.mu.
	list  []manifest.Endpoint // the last good one
	users []*pool
}

// fileStamp tells whether a file has changed.
type fileStamp struct {
	modified time.Time
	size     int64
}

// stampOf returns the zero stamp for a file that is not there.
func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

// Bounds of discovery.
const (
	filePoll      = time.Second     // between looks at the file
	lookupTimeout = 5 * time.Second // of one DNS look-up
)

// discover gives a pool the endpoints that its discovery finds, now and later. A
// file that cannot be read is an error; a name that cannot be looked up is not,
// since start must not depend on the network.
func (r *Registry) discover(p *pool) error {
	key := fmt.Sprintf("%s %+v", p.name, *p.conf.Discovery)
	r.mu.Lock()
	d, made, _ := r.discoveries.take(key, func() (*discovery, error) {
		return &discovery{key: key, registry: r, upstream: p.name, conf: *p.conf.Discovery, done: make(chan struct{})}, nil
	})
	p.discovery = d
	d.users = append(d.users, p)
	list := d.list
	var ctx context.Context
	if made {
		ctx, d.cancel = context.WithCancel(r.ctx)
	}
	r.mu.Unlock()
	if !made {
		return r.update(p, list)
	}
	err := d.refresh(ctx)
	r.running.Go(func() { d.run(ctx) })
	if err != nil && d.conf.File != "" {
		return err
	}
	return nil
}

// undiscover takes a pool off its discovery. The registry's lock is held.
func (r *Registry) undiscover(p *pool) (closers []func()) {
	d := p.discovery
	p.discovery = nil
	d.users = slices.DeleteFunc(d.users, func(u *pool) bool { return u == p })
	if _, last := r.discoveries.give(d.key); last {
		closers = append(closers, func() {
			d.cancel()
			<-d.done
		})
	}
	return closers
}

func (d *discovery) run(ctx context.Context) {
	defer close(d.done)
	interval := d.conf.Interval.D()
	if d.conf.File != "" {
		interval = filePoll
	}
	tick := time.NewTicker(max(interval, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = d.refresh(ctx) // logged; the last good list stays
		case <-ctx.Done():
			return
		}
	}
}

// refresh looks once, and tells all pools if something has changed.
func (d *discovery) refresh(ctx context.Context) error {
	var list []manifest.Endpoint
	var err error
	if d.conf.File != "" {
		stamp := stampOf(d.conf.File)
		if stamp == d.stamp && stamp != (fileStamp{}) {
			return nil
		}
		d.stamp = stamp
		list, err = manifest.LoadEndpoints(d.conf.File)
	} else {
		list, err = d.lookUp(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.registry.log.Warn("discover endpoints", "upstream", d.upstream, "err", err)
		}
		return fmt.Errorf("discover endpoints: %w", err)
	}
	return d.publish(list)
}

// lookUp makes an endpoint of each address of the name, in a fixed order.
func (d *discovery) lookUp(ctx context.Context) ([]manifest.Endpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	u, err := url.Parse(d.conf.DNS)
	if err != nil {
		return nil, err
	}
	addrs, err := d.registry.resolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, errNoAddress
	}
	var list []manifest.Endpoint
	for _, a := range addrs {
		host := a.Unmap().String()
		if port := u.Port(); port != "" {
			host = net.JoinHostPort(host, port)
		} else if a.Unmap().Is6() {
			host = "[" + host + "]"
		}
		list = append(list, manifest.Endpoint{URL: u.Scheme + "://" + host, Weight: 1})
	}
	slices.SortFunc(list, func(a, b manifest.Endpoint) int { return strings.Compare(a.URL, b.URL) })
	return list, nil
}

func (d *discovery) publish(list []manifest.Endpoint) error {
	r := d.registry
	r.mu.Lock()
	if slices.Equal(list, d.list) {
		r.mu.Unlock()
		return nil
	}
	var all []func()
	var failed error
	for _, p := range d.users {
		closers, err := p.update(list)
		all = append(all, closers...)
		if err != nil {
			failed = err
		}
	}
	if failed == nil {
		d.list = list
	}
	r.mu.Unlock()
	run(all)
	return failed
}
