package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stopGrace is how long a process may take to end by itself.
const stopGrace = 5 * time.Second

// child is a running server that the harness started. Its owner must call stop.
type child struct {
	cmd  *exec.Cmd
	log  string        // file with all that it printed
	done chan struct{} // closed when it has ended
}

// startChild starts argv in the folder dir, with env added to the environment and its output in dir/output.log.
func startChild(dir string, argv, env []string) (*child, error) {
	logPath := filepath.Join(dir, "output.log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = append(os.Environ(), env...)
	isolate(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, log: logPath, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		_ = cmd.Wait() // how it ended matters only while waiting for it to be ready, and then its log says why
	}()
	return c, nil
}

// pid is the root of the child's process tree.
func (c *child) pid() int { return c.cmd.Process.Pid }

// waitReady returns once address accepts connections. It fails when the child ends first or ctx does.
func (c *child) waitReady(ctx context.Context, address string) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s ended at once: %s", filepath.Base(c.cmd.Path), c.logTail())
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("%s does not listen on %s: %s", filepath.Base(c.cmd.Path), address, c.logTail())
		case <-retry.C:
		}
	}
}

// stop ends the child and everything it started, first kindly, and returns when it is gone.
func (c *child) stop() {
	terminate(c.cmd.Process)
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-c.done:
	case <-grace.C:
	}
	killGroup(c.cmd.Process)
	<-c.done
}

// logTail is the end of what the child printed, on one line, for an error message.
func (c *child) logTail() string {
	const tailBytes = 1000
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
	}
	if tail := strings.Join(strings.Fields(string(text)), " "); tail != "" {
		return tail
	}
	return "it printed nothing"
}

// freeAddress is a loopback address that nothing listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
