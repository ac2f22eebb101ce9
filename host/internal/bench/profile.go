package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// adminSocket is where Ergo's targets serve their admin API, in their own folder.
const adminSocket = "admin.sock"

// profileLoad takes a CPU profile of Ergo under a scenario's load, after it was measured for the last time, so that
// no figure has the profiler's cost in it.
func (s *session) profileLoad(ctx context.Context, t target, at place, sc scenario, round int) error {
	if !s.profile || round < s.rounds || !isErgo(t.name) || sc.kind == idle {
		return nil
	}
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(s.folder, t.name+"-"+sc.name+".pprof")
	taken := make(chan error, 1)
	go func() { taken <- fetchProfile(ctx, filepath.Join(at.dir, adminSocket), s.duration, path) }()
	_, err := s.drive(ctx, s.load(at, sc, s.duration+time.Second)) // a little longer than the profile
	if failed := <-taken; err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	fmt.Fprintf(s.out, "profile of %s under %s: %s\n", t.name, sc.name, path)
	return nil
}

// maxProfile is the longest profile that Ergo takes.
const maxProfile = time.Minute

// fetchProfile asks the admin API on a unix socket for a CPU profile of that length and writes it to path.
func fetchProfile(ctx context.Context, socket string, length time.Duration, path string) error {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	seconds := strconv.Itoa(int(min(length, maxProfile) / time.Second))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/debug/pprof/profile?seconds="+seconds, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return os.WriteFile(path, text, 0o644)
}
