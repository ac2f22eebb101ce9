package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// build builds the real binary.
func build(t *testing.T, binary string) {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// process is a running ergo.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  bytes.Buffer
	once sync.Once
}

// start starts the binary in a folder. The test's end stops it gently.
func start(t *testing.T, binary, folder string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...)}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = folder, &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("ergo %v:\n%s", args, p.log.String())
		}
	})
	return p
}

// stop ends the process gently, and returns when it is gone.
func (p *process) stop() {
	p.once.Do(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			p.t.Errorf("stop: %v", err)
		}
		if err := p.cmd.Wait(); err != nil {
			p.t.Errorf("%v: %v\n%s", p.cmd, err, p.log.String())
		}
	})
}

// kill ends the process at once, and returns when it is gone.
func (p *process) kill() {
	p.once.Do(func() {
		if err := p.cmd.Process.Kill(); err != nil {
			p.t.Errorf("kill: %v", err)
		}
		_ = p.cmd.Wait() // reports the kill
	})
}

// waitReady waits until a host says that it carries exchanges.
func waitReady(t *testing.T, c *http.Client, url string) {
	t.Helper()
	hosttest.Eventually(t, func() bool {
		resp, err := c.Get(url)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	}, "the host is ready")
}

// over returns a client that reaches every host through a unix socket.
func over(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
