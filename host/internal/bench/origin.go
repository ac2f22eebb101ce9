package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// probePath is answered by the origin with the marks it saw on the request, as name=value lines.
const probePath = "/probe"

// readyTimeout bounds how long a server may take until it listens. Ergo compiles its policies at first.
const readyTimeout = time.Minute

// origin is what every target forwards to.
type origin struct {
	address string
	version string
	pid     int // of its own process tree; 0 when it runs inside the harness
	stop    func()
}

// body is the answer to a scenario's path: its length and, so that a mix-up shows, its bytes differ by length.
func (s scenario) body() []byte {
	pattern := fmt.Appendf(nil, "%d bytes; ", s.bytes)
	return bytes.Repeat(pattern, s.bytes/len(pattern)+1)[:s.bytes]
}

// startOrigin serves the scenarios' bodies with one nginx worker, or in the harness when there is no nginx.
func startOrigin(ctx context.Context, nginx tool, dir string, scenarios []scenario) (origin, error) {
	if !nginx.installed() {
		return startGoOrigin(scenarios)
	}
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return origin{}, err
	}
	for _, s := range scenarios {
		if err := os.WriteFile(filepath.Join(root, s.path), s.body(), 0o600); err != nil {
			return origin{}, err
		}
	}
	address, err := freeAddress()
	if err != nil {
		return origin{}, err
	}
	start, err := nginxCommand(nginx, dir, "origin.conf.tmpl", originSite{
		Dir: dir, Listen: address, Root: root, Probe: probePath, Unstored: unstored, Marks: allMarks(), User: nginxUser(),
	})
	if err != nil {
		return origin{}, err
	}
	c, err := startChild(dir, start.argv, start.env)
	if err != nil {
		return origin{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.waitReady(ctx, address); err != nil {
		c.stop()
		return origin{}, fmt.Errorf("origin: %w", err)
	}
	return origin{address: address, version: nginx.version + ", one worker", pid: c.pid(), stop: c.stop}, nil
}

// originSite is what the template of the origin's configuration sees.
type originSite struct {
	Dir, Listen, Root, Probe, Unstored, User string
	Marks                                    []string
}

func allMarks() []string {
	names := make([]string, maxMarks)
	for i := range names {
		names[i] = markName(i)
	}
	return names
}

// nginxVariable is a header's name as nginx spells it in the variable $http_NAME.
func nginxVariable(header string) string {
	return strings.ReplaceAll(strings.ToLower(header), "-", "_")
}

// startGoOrigin is the origin without nginx. It runs in the harness, whose CPU time no target is charged for.
func startGoOrigin(scenarios []scenario) (origin, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return origin{}, err
	}
	server := &http.Server{Handler: newOriginHandler(scenarios), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // always http.ErrServerClosed, by stop
	}()
	return origin{
		address: listener.Addr().String(),
		version: "Go net/http inside the harness, because nginx is not installed",
		stop:    func() { server.Close(); <-done },
	}, nil
}

func newOriginHandler(scenarios []scenario) http.Handler {
	bodies := map[string][]byte{}
	for _, s := range scenarios {
		bodies[s.path] = s.body()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, private := strings.CutPrefix(r.URL.Path, unstored)
		body, found := bodies[path]
		w.Header().Set("Cache-Control", "max-age=86400")
		switch {
		case found:
			if private {
				w.Header().Set("Cache-Control", "no-store")
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body) // a client that has gone is its own business
		case r.URL.Path == probePath:
			for _, name := range allMarks() {
				fmt.Fprintf(w, "%s=%s\n", name, r.Header.Get(name))
			}
		default:
			http.NotFound(w, r)
		}
	})
}
