package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// plugins has one policy that is a process beside one that is Wasm, in both tiers.
const plugins = `version = 1
[host]
admin = "unix:admin.sock"
data = "data"
log.format = "json"
[[listener]]
address = %q
[upstream.blue]
endpoints = ["ergo:echo"]
[policy.subject]
source = "plugin:subject"
[policy.headers]
source = %q
[[edge.stage]]
name = "mixed"
use = [
  { policy = "headers", config = { request = { set = { x-first = "1" } } } },
  { policy = "subject", config = { do = "" }, on_error = "deny" },
]
[service]
upstream = "blue"
[[service.stage]]
name = "mixed"
use = [{ policy = "subject", config = { do = "", mark = %q } }]
`

// TestPluginsInTheHost has exchanges pass through processes while they are swapped and
// killed: none passes one by, and when the host dies so do they.
func TestPluginsInTheHost(t *testing.T) {
	folder := t.TempDir()
	binary := filepath.Join(folder, "ergo")
	build(t, binary)
	if out, err := exec.Command("go", "build", "-o", filepath.Join(folder, "subject"), "../../process/testdata/subject").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	headers, err := filepath.Abs("../../../policies/headers")
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	write := func(mark string) {
		text := fmt.Sprintf(plugins, address, headers, mark)
		if err := os.WriteFile(filepath.Join(folder, "proxy.toml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	host := start(t, binary, folder, "run", "-c", "proxy.toml")
	waitReady(t, over(filepath.Join(folder, "admin.sock")), "http://admin/readyz")
	get := func(do string) (status int, body string) {
		request, err := http.NewRequest("GET", "http://"+address+"/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Do", do)
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		read, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(read)
	}
	if status, body := get(""); status != 200 || !strings.Contains(strings.ToLower(body), "x-seen: get /a") {
		t.Fatalf("got %d %s", status, body)
	}
	_, text := get("pid")
	pid, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}

	var passed, failed atomic.Int64
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
				switch status, body := get(""); {
				case status == 200 && strings.Contains(strings.ToLower(body), "x-seen: get /a"):
					passed.Add(1)
				case status >= 500:
					failed.Add(1)
				default:
					t.Errorf("got %d %s", status, body)
				}
			}
		})
	}
	for i := range 3 {
		write(fmt.Sprint("swap ", i))
		swap := exec.Command(binary, "swap", "-c", "proxy.toml")
		swap.Dir = folder
		if out, err := swap.CombinedOutput(); err != nil {
			t.Errorf("swap: %v\n%s", err, out)
		}
	}
	if n := failed.Load(); n != 0 {
		t.Errorf("%d exchanges failed while policies were swapped", n)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	before := passed.Load()
	hosttest.Eventually(t, func() bool { return passed.Load() > before+100 }, "exchanges pass again")
	close(stop)
	group.Wait()

	_, text = get("pid")
	host.kill()
	if runtime.GOOS == "linux" {
		hosttest.Eventually(t, func() bool {
			_, err := os.Stat("/proc/" + text)
			return err != nil
		}, "the processes of a host that was killed end")
	}
}
