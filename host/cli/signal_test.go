//go:build unix

package cli

import (
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// apart is a host in a process of its own.
type apart struct {
	*running
	cmd *exec.Cmd
}

func runProcess(t *testing.T, manifest string) *apart {
	t.Helper()
	p := &apart{running: &running{t: t, manifest: manifest}}
	p.cmd = exec.Command(os.Args[0], "run", "-c", manifest)
	p.cmd.Env = append(os.Environ(), "ERGO_TEST_MAIN=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.running.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	hosttest.Eventually(t, func() bool { return p.running.err.line("admin API") != nil }, "the host starts")
	p.address, _ = p.running.err.line("listening")["address"].(string)
	return p
}

func (p *apart) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// status waits for the process to end and returns its exit status.
func (p *apart) status() int {
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

func TestHangupSwaps(t *testing.T) {
	manifest := folder(t, manifestText(t, "1", "watch = false"))
	p := runProcess(t, manifest)
	writeFile(t, manifest, manifestText(t, "2", "watch = false"))
	if got := p.mark(); got != "1" {
		t.Errorf("swapped without being told: %q", got)
	}
	p.signal(syscall.SIGHUP)
	p.eventually("2")
	p.signal(syscall.SIGTERM)
	if status := p.status(); status != exitDone {
		t.Errorf("got exit status %d:\n%s", status, p.running.err.String())
	}
}

// TestSecondSignalEndsTheGrace: an exchange that does not end holds a graceful
// shutdown, until it is told again.
func TestSecondSignalEndsTheGrace(t *testing.T) {
	p := runProcess(t, folder(t, manifestText(t, "1", `shutdown_timeout = "1h"`)))
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	hosttest.Eventually(t, func() bool {
		return strings.Contains(mustErgo(t, "status", "-c", p.manifest), "1 exchange in flight")
	}, "the exchange has begun")

	p.signal(syscall.SIGTERM)
	hosttest.Eventually(t, func() bool {
		return p.running.err.line("shutting down: a second signal ends it at once") != nil
	}, "the host shuts down")
	p.signal(syscall.SIGTERM)
	if status := p.status(); status != exitFailed {
		t.Errorf("got exit status %d, want %d: exchanges were cut off", status, exitFailed)
	}
	if p.running.err.line("exchanges were cut off") == nil {
		t.Errorf("no word of it:\n%s", p.running.err.String())
	}
}
