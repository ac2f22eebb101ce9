package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// guarding is a manifest with a policy of the family auth that is two processes. limits.time is the
// deadline of one event.
const guarding = bare + `
[policy.subject]
source = %q
limits = { time = "1s", wait = "5s" }
process = { count = 2, memory = "2GiB" }
[[edge.stage]]
name = "guard"
use = [{ policy = "subject", config = {} }]
`

const guardFile = `name = "subject"
version = "1.0.0"
family = "auth"
summary = "Does as it is told"
license = "Apache-2.0"
abi = "plugin"
module = %q
`

// program is the policy's, as it is in a file.
func program(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(subject(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(program)
}

// guard makes the policy's folder, with the program under a name that tells it how to be.
func guard(t *testing.T, program, name string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	write(t, filepath.Join(folder, name), program)
	write(t, filepath.Join(folder, "policy.toml"), fmt.Sprintf(guardFile, name))
	return folder
}

func guarded(o *origin, folder string) (manifest string) {
	return fmt.Sprintf(guarding, fmt.Sprintf("%q", o.URL), "", folder)
}

// teller makes what sends one request that tells the policy what to do.
func (h *host) teller(t *testing.T, path string) telling {
	return func(do string) (status int, took time.Duration, body string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+h.addrs["plain"]+path, nil)
		if err != nil {
			t.Error(err)
			return 0, 0, ""
		}
		r.Header.Set("X-Do", do)
		began := time.Now()
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return 0, 0, ""
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, time.Since(began), string(text)
	}
}

type telling func(do string) (status int, took time.Duration, body string)

// TestGuardUnderLoad has the processes of an auth policy do their worst while others pass: what fails is answered by the
// failure rule within the deadline, and nothing that has not been through the policy reaches the origin.
func TestGuardUnderLoad(t *testing.T) {
	o := startOrigin(t)
	path := o.at(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Seen") == "" && r.Header.Get("X-Do") != "flood" { // which it lets pass as it is
			t.Errorf("%v passed the policy by", r.Header)
		}
	})
	h := start(t, guarded(o, guard(t, program(t), "subject")))
	ask := h.teller(t, path)
	signal := func(s syscall.Signal) (status int) {
		_, _, body := ask("pid")
		if pid, err := strconv.Atoi(body); err == nil {
			if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Error(err)
			}
		}
		return 0
	}
	do := func(deed string) (status int) {
		status, _, _ = ask(deed)
		return status
	}
	for _, tc := range []struct {
		name string
		harm func() (status int)
		want int // 0: nobody asked
	}{
		{"kill -9", func() int { return signal(syscall.SIGKILL) }, 0},
		{"SIGSTOP", func() int { return signal(syscall.SIGSTOP) }, 0},
		{"forks", func() int { return do("fork") }, 200},
		{"exit", func() int { return do("exit") }, 500},
		{"panic", func() int { return do("panic") }, 500},
		{"hangs", func() int { return do("sleep") }, 504},
		{"stops itself", func() int { return do("stop") }, 504},
		{"memory bomb", func() int { return do("bomb") }, 0}, // a machine that is slow to fill it has it time out first
		{"flood", func() int { return do("flood") }, 0},
		{"what can't be sent", func() int { return do("bad") }, 500},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := startLoad(t, ask)
			hosttest.Eventually(t, func() bool { return l.passed.Load() > 20 }, "exchanges pass")
			status := tc.harm()
			// In quarantine, of the policy, the rule applies too.
			if tc.want != 0 && status != tc.want && status != 503 {
				t.Errorf("got status %d, want %d", status, tc.want)
			}
			before := l.passed.Load()
			hosttest.Eventually(t, func() bool { return l.passed.Load() > before+20 }, "exchanges pass again")
			l.end()
		})
	}
}

// TestBrokenGuardUnderLoad has the processes of an auth policy break the protocol with each exchange: all fail,
// within the deadline, and none reaches the origin.
func TestBrokenGuardUnderLoad(t *testing.T) {
	o, code := startOrigin(t), program(t)
	path := o.at(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%v passed the policy by", r.Header)
	})
	for _, role := range []string{"noise", "unknown", "zero", "pieces", "empty", "huge", "hangup"} {
		t.Run(role, func(t *testing.T) {
			h := start(t, guarded(o, guard(t, code, role)))
			l := startLoad(t, h.teller(t, path))
			hosttest.Eventually(t, func() bool { return l.failed.Load() > 50 }, "exchanges fail")
			l.end()
			if n := l.passed.Load(); n > 0 {
				t.Errorf("%d exchanges passed", n)
			}
		})
	}
}

// TestBadStartUnderLoad swaps to programs that are no plugins, or none for this host: each swap is refused, and no
// exchange fails meanwhile.
func TestBadStartUnderLoad(t *testing.T) {
	o, code := startOrigin(t), program(t)
	path := o.at(func(http.ResponseWriter, *http.Request) {})
	h := start(t, guarded(o, guard(t, code, "subject")))
	good, err := os.ReadFile(h.manifest)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(good), bare[:strings.Index(bare, "%")])
	l := startLoad(t, h.teller(t, path))
	for _, role := range []string{"exits", "garbage", "version", "mute"} {
		bad := head + strings.Replace(guarded(o, guard(t, code, role)), "process = {", `process = { start = "2s",`, 1)
		resp, err := h.admin.Post("http://admin/v1/swap", "application/toml", strings.NewReader(bad))
		if err != nil {
			t.Fatal(err)
		}
		said := all(t, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == 200 || !strings.Contains(said, "subject") {
			t.Errorf("%s: got status %d: %s", role, resp.StatusCode, said)
		}
	}
	before := l.passed.Load()
	hosttest.Eventually(t, func() bool { return l.passed.Load() > before+20 }, "exchanges pass")
	l.end()
	if n := l.failed.Load(); n > 0 {
		t.Errorf("%d exchanges failed", n)
	}
}

// load is exchanges side by side, one after the other.
type load struct {
	passed, failed atomic.Int64
	end            func()
}

func startLoad(t *testing.T, ask telling) *load {
	l := new(load)
	var group sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch status, took, _ := ask(""); {
				case took > 20*time.Second: // limits.time, limits.wait, and what a busy machine adds
					t.Errorf("status %d after %v", status, took)
				case status == 200:
					l.passed.Add(1)
				case status == 500 || status == 503 || status == 504:
					l.failed.Add(1)
				default:
					t.Errorf("got status %d", status)
				}
			}
		})
	}
	l.end = sync.OnceFunc(func() {
		close(stop)
		group.Wait()
	})
	t.Cleanup(l.end)
	return l
}
