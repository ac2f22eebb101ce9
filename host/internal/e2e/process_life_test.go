package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
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
module = "subject"
`

// TestGuardUnderLoad has the processes of an auth policy do their worst while others pass: what fails is answered by the
// failure rule within the deadline, and nothing that has not been through the policy reaches the origin.
func TestGuardUnderLoad(t *testing.T) {
	folder := t.TempDir()
	program, err := os.ReadFile(subject(t))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "subject"), string(program))
	write(t, filepath.Join(folder, "policy.toml"), guardFile)
	o := startOrigin(t)
	path := o.at(func(_ http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Seen") == "" && r.Header.Get("X-Do") != "flood" { // which it lets pass as it is
			t.Errorf("%v passed the policy by", r.Header)
		}
	})
	h := start(t, fmt.Sprintf(guarding, fmt.Sprintf("%q", o.URL), "", folder))
	ask := func(do string) (status int, took time.Duration, body string) {
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

// load is exchanges side by side, one after the other.
type load struct {
	passed atomic.Int64
	end    func()
}

func startLoad(t *testing.T, ask func(do string) (int, time.Duration, string)) *load {
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
				case status != 500 && status != 503 && status != 504:
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
