package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/ergoproxy/ergo/sdk/plugin"
)

// source is where a bundle comes from: a file or a URL, which it looks at again and again.
// One goroutine at a time uses it.
type source struct {
	config   *bundleConfig
	decision ast.Ref
	fetch    func(context.Context, plugin.Call) (*plugin.Reply, error)
	count    func(context.Context, ...plugin.Measure) error
	use      func(*rules, time.Time) // of rules, nil for those that are in force; and when they were current
	tell     func(format string, args ...any)
	now      func() time.Time

	have    bool              // rules are in force
	tag     string            // of the bundle in force: its entity tag, or the file's state
	refused [sha256.Size]byte // of the last bundle that was refused
	why     error             // it was
}

// start brings the first bundle, and then keeps it current until ctx ends.
func (s *source) start(ctx context.Context) error {
	err := s.renew(ctx)
	if err != nil && s.config.Copy != "" {
		err = errors.Join(err, s.fromCopy())
	}
	switch {
	case err == nil:
	case s.have:
		s.tell("bundle: the copy of an earlier one is used: %v", err)
	case s.config.OnUnavailable == "refuse":
		return fmt.Errorf("bundle: %w", err)
	default:
		s.tell("bundle: nothing is allowed until there is one: %v", err)
	}
	go s.keep(ctx, err != nil)
	return nil
}

// keep renews the bundle until ctx ends.
func (s *source) keep(ctx context.Context, failed bool) {
	failures := 0
	if failed {
		failures = 1
	}
	for {
		timer := time.NewTimer(delay(s.config.Interval.D(), failures))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		switch err := s.renew(ctx); {
		case err == nil:
			failures = 0
		case ctx.Err() == nil:
			failures++
			s.tell("bundle: not renewed: %v", err)
		}
	}
}

// firstDelay is how soon a source that failed is asked again; each time it is twice that,
// up to the interval.
const firstDelay = 200 * time.Millisecond

// delay is how long to wait, give or take a tenth, so that hosts do not ask at once.
func delay(interval time.Duration, failures int) time.Duration {
	wait := interval
	if failures > 0 && failures < 20 {
		wait = min(interval, firstDelay<<(failures-1))
	}
	return wait - wait/10 + rand.N(wait/5+1)
}

// renew looks at the source once, and takes up what is new. Rules that do not compile leave
// those that are in force.
func (s *source) renew(ctx context.Context) error {
	err := s.look(ctx)
	if err != nil {
		s.measure(ctx, "bundle_failures")
	}
	return err
}

func (s *source) measure(ctx context.Context, name string) {
	if err := s.count(ctx, plugin.Count(name, 1)); err != nil && ctx.Err() == nil {
		s.tell("count %s: %v", name, err)
	}
}

func (s *source) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout.D())
	defer cancel()
	bring := s.download
	if s.config.File != "" {
		bring = s.read
	}
	packed, tag, err := bring(ctx)
	if err != nil {
		return err
	}
	current := s.now()
	if packed == nil {
		s.use(nil, current)
		return nil
	}
	r, err := s.unpack(packed)
	if err != nil {
		return err
	}
	s.use(r, current)
	s.have, s.tag = true, tag
	s.tell("bundle: revision %q is used", r.revision)
	s.measure(ctx, "bundles")
	if s.config.Copy == "" {
		return nil
	}
	if err := save(s.config.Copy, packed); err != nil {
		s.tell("bundle: keep a copy: %v", err)
	}
	return nil
}

// unpack makes rules of a bundle. One that was refused is not tried again.
func (s *source) unpack(packed []byte) (*rules, error) {
	sum := sha256.Sum256(packed)
	if s.why != nil && sum == s.refused {
		return nil, s.why
	}
	r, err := unbundle(packed, s.config, s.decision)
	if err != nil {
		s.refused, s.why = sum, err
	}
	return r, err
}

// download asks the URL. It returns nil if what is in force is still what there is.
func (s *source) download(ctx context.Context) (packed []byte, tag string, err error) {
	call := plugin.Call{Method: "GET", URL: s.config.URL, Timeout: s.config.Timeout.D(), Header: []plugin.Field{
		{Name: "accept", Value: "application/vnd.openpolicyagent.bundles, application/gzip;q=0.9, */*;q=0.1"},
	}}
	if s.config.Authorization != "" {
		call.Header = append(call.Header, plugin.Field{Name: "authorization", Value: s.config.Authorization})
	}
	if s.tag != "" {
		call.Header = append(call.Header, plugin.Field{Name: "if-none-match", Value: s.tag})
	}
	reply, err := s.fetch(ctx, call)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("fetch %s: %w", s.config.URL, err)
	case reply.Status == 304 && s.tag != "":
		return nil, s.tag, nil
	case reply.Status != 200:
		return nil, "", fmt.Errorf("fetch %s: it answers with status %d", s.config.URL, reply.Status)
	}
	return append([]byte{}, reply.Body...), reply.Header.Get("etag"), nil
}

// read looks at the file. It returns nil if that is as it was.
func (s *source) read(context.Context) (packed []byte, tag string, err error) {
	packed, tag, err = readFile(s.config.File, s.config.MaxBytes, s.tag)
	return packed, tag, err
}

// readFile reads a file of at most max bytes, unless it still is in the state that tag tells.
func readFile(name string, max int64, tag string) ([]byte, string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, "", err
	}
	if !info.Mode().IsRegular() {
		return nil, "", &fs.PathError{Op: "read", Path: name, Err: errors.New("it is not a regular file")}
	}
	state := fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size())
	if state == tag {
		return nil, tag, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	packed, err := io.ReadAll(io.LimitReader(file, max+1))
	if err != nil {
		return nil, "", err
	}
	if int64(len(packed)) > max {
		return nil, "", &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it has more than max_bytes (%d)", max)}
	}
	return packed, state, nil
}

// fromCopy takes up the copy of an earlier bundle, which is as old as the copy.
func (s *source) fromCopy() error {
	info, err := os.Stat(s.config.Copy)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	packed, _, err := readFile(s.config.Copy, s.config.MaxBytes, "")
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	r, err := s.unpack(packed)
	if err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	s.use(r, info.ModTime())
	s.have = true
	return nil
}

// save writes a file whole or not at all.
func save(name string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".bundle-*") // 0600
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}
