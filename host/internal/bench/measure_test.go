package main

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestScenariosSuitTargets(t *testing.T) {
	for _, c := range []struct {
		target target
		want   string // the scenarios it has a part in
	}{
		{target{name: direct}, "1KiB"},
		{target{name: "nginx-plain"}, "1KiB slow-loris idle"},
		{target{name: "ergo-1", job: job{Keyed: true}}, "1KiB deny"},
	} {
		var got []string
		for _, name := range []string{"1KiB", denyScenario, slowScenario, idleScenario} {
			sc, err := parseScenario(name)
			if err != nil {
				t.Fatal(err)
			}
			if sc.suits(c.target) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", c.target.name, got, c.want)
		}
	}
}

// measuring is a session before an origin inside this process, which stands for a proxy.
func measuring(t *testing.T) (*session, place) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's /proc")
	}
	o, err := startGoOrigin([]scenario{{path: "/1KiB", bytes: 1 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.stop)
	s := &session{proc: os.DirFS("/proc"), out: io.Discard, dir: t.TempDir()}
	s.options = options{rounds: 1, duration: time.Second, connections: 4, slow: 20, idle: 50, folder: t.TempDir()}
	s.tools.wrk = findTool(t.Context(), "wrk", installDebian, "-v")
	s.script = filepath.Join(s.dir, "report.lua")
	if err := os.WriteFile(s.script, reportScript, 0o600); err != nil {
		t.Fatal(err)
	}
	return s, place{address: o.address, pid: os.Getpid(), dir: s.dir}
}

func TestMeasureIdle(t *testing.T) {
	s, at := measuring(t)
	sc := scenario{name: idleScenario, path: "/1KiB", bytes: 1 << 10, kind: idle}
	m, err := s.measure(t.Context(), at, sc, 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.IdleConnections != 50 || m.Requests != 50 || m.ResidentBytes < 1<<20 || !strings.Contains(m.String(), "50 connections") {
		t.Errorf("measurement is %+v, %s", m, m)
	}
	at.address = accept(t, func(c net.Conn) {})
	if _, err := s.measure(t.Context(), at, sc, 1); err == nil {
		t.Error("a server that closes every connection was measured")
	}
}

func TestMeasureCrowded(t *testing.T) {
	s, at := measuring(t)
	if !s.tools.wrk.installed() {
		t.Skip("wrk is not installed: " + s.tools.wrk.install)
	}
	sc := scenario{name: slowScenario, path: "/1KiB", bytes: 1 << 10, kind: crowded}
	m, err := s.measure(t.Context(), at, sc, 2)
	if err != nil {
		t.Fatal(err)
	}
	if m.CalmP99Micros <= 0 || m.P99Micros <= 0 || m.CPUMicros <= 0 || m.ContextSwitches <= 0 || m.SocketErrors+m.UnexpectedStatuses > 0 {
		t.Errorf("measurement is %+v", m)
	}
	if !strings.Contains(m.String(), "beside slow connections") {
		t.Errorf("it reads %q", m)
	}
}

func TestProfileLoad(t *testing.T) {
	s, at := measuring(t)
	if !s.tools.wrk.installed() {
		t.Skip("wrk is not installed: " + s.tools.wrk.install)
	}
	listener, err := net.Listen("unix", filepath.Join(at.dir, adminSocket))
	if err != nil {
		t.Fatal(err)
	}
	status := http.StatusOK
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, r.RequestURI)
	})}
	go server.Serve(listener)
	defer server.Close()

	s.profile, s.rounds = true, 2
	sc := scenario{name: "1KiB", path: "/1KiB", bytes: 1 << 10}
	path := filepath.Join(s.folder, "ergo-0-1KiB.pprof")
	if err := s.profileLoad(t.Context(), target{name: "ergo-0"}, at, sc, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the last round: %v", err)
	}
	if err := s.profileLoad(t.Context(), target{name: "ergo-0"}, at, sc, 2); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "/debug/pprof/profile?seconds=1" {
		t.Errorf("profile is %q, %v", text, err)
	}
	status = http.StatusConflict
	if err := s.profileLoad(t.Context(), target{name: "ergo-0"}, at, sc, 2); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("refused: error is %v", err)
	}
}
