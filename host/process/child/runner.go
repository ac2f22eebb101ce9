package child

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/ergoproxy/ergo/host/manifest"
)

// limited is an operating system's process, with limits, as go-plugin runs it.
type limited struct {
	binary, folder string // its program, and where it runs
	certificate    []byte // PEM, of whom it is to talk to
	checksum       goplugin.SecureConfig
	limits         manifest.Process

	cmd            *exec.Cmd
	stdout, stderr io.ReadCloser

	mu    sync.Mutex
	group int // 0: it has not started
	gone  bool
	ended chan struct{} // closed when it has been waited for
}

// path is where a program looks for others: nothing of the host's environment goes to it.
const path = "PATH=/usr/local/bin:/usr/bin:/bin"

// runner is what go-plugin asks for when it has prepared the environment of a command.
func (c *limited) runner(_ hclog.Logger, prepared *exec.Cmd, _ string) (runner.Runner, error) {
	if same, err := c.checksum.Check(c.binary); err != nil {
		return nil, err
	} else if !same {
		return nil, goplugin.ErrChecksumsDoNotMatch
	}
	cmd := exec.Command(c.binary)
	cmd.Dir = c.folder
	cmd.Env = append(prepared.Env, path, "HOME="+c.folder, "TMPDIR="+c.folder, "PLUGIN_CLIENT_CERT="+string(c.certificate))
	c.cmd, c.ended = cmd, make(chan struct{})
	var err error
	if c.stdout, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if c.stderr, err = cmd.StderrPipe(); err != nil {
		return nil, err
	}
	return c, nil
}

// Start follows runner.Runner.
func (c *limited) Start(context.Context) error {
	started := make(chan error, 1)
	go c.hold(started)
	return <-started
}

// hold starts the process and stays until it has ended.
func (c *limited) hold(started chan<- error) {
	enclose()
	c.mu.Lock()
	isolate(c.cmd)
	err := c.cmd.Start()
	if err == nil {
		c.group = c.cmd.Process.Pid
		err = limit(c.group, &c.limits)
	}
	c.mu.Unlock()
	started <- err
	if c.group != 0 {
		<-c.ended
	}
}

// Wait follows runner.Runner.
func (c *limited) Wait(context.Context) error {
	err := c.cmd.Wait()
	c.kill() // what it has left behind
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gone {
		c.gone = true
		close(c.ended)
	}
	return err
}

// Kill follows runner.Runner.
func (c *limited) Kill(context.Context) error {
	c.kill()
	return nil
}

// kill ends the process and all that it has started, as far as it can be found.
func (c *limited) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.group != 0 && !c.gone {
		killGroup(c.cmd.Process)
	}
}

func (c *limited) pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.group
}

// The rest of runner.Runner.

// Stdout is the process's standard output.
func (c *limited) Stdout() io.ReadCloser { return c.stdout }

// Stderr is the process's standard error.
func (c *limited) Stderr() io.ReadCloser { return c.stderr }

// Name is the program's file.
func (c *limited) Name() string { return c.binary }

// ID is the number of the process, "" before it has started.
func (c *limited) ID() string {
	if pid := c.pid(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// Diagnose says what may be wrong with a process that did not shake hands.
func (c *limited) Diagnose(context.Context) string {
	return "it is no plugin of ergo, or ended before it said so"
}

// PluginToHost is the address itself: both see the same sockets.
func (c *limited) PluginToHost(network, address string) (string, string, error) {
	if network != "unix" {
		return "", "", fmt.Errorf("a plugin listens on a unix socket, not on %s: %w", network, errors.ErrUnsupported)
	}
	return network, address, nil
}

// HostToPlugin is the address itself.
func (c *limited) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

var _ runner.Runner = (*limited)(nil)
