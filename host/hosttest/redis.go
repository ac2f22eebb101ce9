package hosttest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Redis is a real redis-server on a unix socket of its own.
type Redis struct {
	// Address is "unix:/path", and stays when the server is started again.
	Address string

	t       testing.TB
	binary  string
	socket  string
	running *exec.Cmd
}

// StartRedis starts a server that keeps nothing on disk. It skips the test, and
// says so, where there is no redis-server.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skipf("without redis-server there is nothing to ask: %v", err)
	}
	folder, err := os.MkdirTemp("", "redis") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	r := &Redis{t: t, binary: binary, socket: filepath.Join(folder, "socket")}
	r.Address = "unix:" + r.socket
	r.Start()
	t.Cleanup(func() {
		r.Kill()
		_ = os.RemoveAll(folder)
	})
	return r
}

// Start starts the server again after Kill, with nothing in it, and waits until
// it answers.
func (r *Redis) Start() {
	r.t.Helper()
	r.running = exec.Command(r.binary, "--port", "0", "--unixsocket", r.socket,
		"--save", "", "--appendonly", "no", "--dir", filepath.Dir(r.socket))
	if err := r.running.Start(); err != nil {
		r.t.Fatal(err)
	}
	Eventually(r.t, func() bool {
		reply, err := r.Do("PING")
		return err == nil && reply == "+PONG"
	}, "redis-server answers")
}

// Do sends a command and returns the first line of the reply.
func (r *Redis) Do(args ...string) (string, error) {
	c, err := net.Dial("unix", r.socket)
	if err != nil {
		return "", err
	}
	defer c.Close()
	var command strings.Builder
	fmt.Fprintf(&command, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&command, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(c, command.String()); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// Signal sends the server a signal.
func (r *Redis) Signal(s os.Signal) {
	r.t.Helper()
	if err := r.running.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// Kill ends the server without a chance to say good-bye.
func (r *Redis) Kill() {
	_ = r.running.Process.Kill()
	_ = r.running.Wait()
}
