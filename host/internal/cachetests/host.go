package main

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

//go:embed suite/proxy.toml
var manifest string

// host is the binary with the policy in its edge tier.
type host struct {
	binary, policy string
}

// start runs the host before an origin and returns its address.
func (h host) start(ctx context.Context, folder, origin string) (address string, stop func(), err error) {
	policy, err := filepath.Abs(h.policy)
	if err != nil {
		return "", nil, err
	}
	if address, err = freeAddress(); err != nil {
		return "", nil, err
	}
	file := filepath.Join(folder, "proxy.toml")
	text := fmt.Sprintf(manifest, filepath.Join(folder, "data"), address, origin, policy)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", nil, err
	}
	log, err := os.Create(filepath.Join(folder, "ergo.log"))
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, h.binary, "run", "-c", file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		log.Close()
		return "", nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		log.Close()
	}
	if err := awaitListener(ctx, address, ended); err != nil {
		stop()
		said, _ := os.ReadFile(log.Name())
		return "", nil, fmt.Errorf("%w: %.4000s", err, said)
	}
	return address, stop, nil
}

// freeAddress returns a loopback address with a port that is free now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// awaitListener returns once the address takes connections.
func awaitListener(ctx context.Context, address string, ended <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("the host ended before it listened")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
