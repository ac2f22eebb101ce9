// Package child starts the programs of policies and ends them: each is an operating system's process of its own,
// with limits, in a folder of its own, that has shaken hands by hashicorp/go-plugin and answers a probe. What
// is said to it on its connection is package process's.
package child

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/sdk/plugin"
)

// ErrHangs says that a process is there and does not answer.
var ErrHangs = errors.New("the process does not answer")

// maxMessage bounds what a process sends at once.
const maxMessage = 16 << 20

// window is how much may be on its way to the host.
const window = 1 << 20

// Program is what processes are started of.
type Program struct {
	Name   string // of its file
	Code   []byte
	Digest string // of the code, "sha256:..."
	Limits manifest.Process
	Lines  *Lines // takes what it prints
}

// Process is one that runs. It is safe for concurrent use; whoever started it calls End or Kill.
type Process struct {
	Conn *grpc.ClientConn // to what it serves

	run    *limited
	client *goplugin.Client
	folder string // of its program and its sockets; nobody else may enter
}

// Start starts a process and proves that it is well. It leaves nothing behind if it fails.
func (p *Program) Start(ctx context.Context) (*Process, error) {
	q := new(Process)
	if err := q.open(ctx, p); err != nil {
		q.Kill()
		return nil, err
	}
	return q, nil
}

func (q *Process) open(ctx context.Context, p *Program) error {
	var err error
	if q.folder, err = os.MkdirTemp("", "ergo-"); err != nil { // 0700
		return err
	}
	binary, err := p.install(q.folder)
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	settings, err := p.settings(q, binary)
	if err != nil {
		return err
	}
	q.client = goplugin.NewClient(settings)
	connected := make(chan error, 1)
	var conn goplugin.ClientProtocol
	go func() {
		var err error
		conn, err = q.client.Client()
		connected <- err
	}()
	select {
	case err = <-connected:
	case <-ctx.Done():
		q.run.kill()
		<-connected
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	dispensed, err := conn.Dispense(plugin.Name)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	q.Conn = dispensed.(*grpc.ClientConn)
	return q.Probe(ctx, p.Limits.Start.D())
}

// settings are how go-plugin starts a process: gRPC over a unix socket, both sides with
// certificates made for this one connection, a program that has been checked, and none of
// the host's environment.
func (p *Program) settings(q *Process, binary string) (*goplugin.ClientConfig, error) {
	trust, certificate, err := identity()
	if err != nil {
		return nil, err
	}
	sum, _ := hex.DecodeString(strings.TrimPrefix(p.Digest, "sha256:"))
	q.run = &limited{
		binary: binary, folder: q.folder, limits: p.Limits, certificate: certificate,
		checksum: goplugin.SecureConfig{Checksum: sum, Hash: sha256.New()},
	}
	return &goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake(),
		Plugins:          goplugin.PluginSet{plugin.Name: client{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		TLSConfig:        trust,
		SkipHostEnv:      true,
		RunnerFunc:       q.run.runner,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: q.folder},
		StartTimeout:     p.Limits.Start.D(),
		Stderr:           p.Lines,
		SyncStdout:       p.Lines,
		SyncStderr:       p.Lines, // what comes after the handshake, when standard error is no more
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
			// Windows that are given keep gRPC from measuring the path, by a ping for each message.
			grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		},
	}, nil
}

// client is the host's end of a policy as go-plugin takes it.
type client struct {
	goplugin.NetRPCUnsupportedPlugin
}

var _ goplugin.GRPCPlugin = client{}

// GRPCServer follows goplugin.GRPCPlugin: the host is never a plugin.
func (client) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error { return errors.ErrUnsupported }

// GRPCClient follows goplugin.GRPCPlugin.
func (client) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// install writes the program into the process's folder, so that what was read and checked
// is what is started, whatever becomes of the file that it came from.
func (p *Program) install(folder string) (file string, err error) {
	file = filepath.Join(folder, filepath.Base(p.Name))
	// A fork at the wrong moment would keep the file open for writing, and nobody could run it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return file, os.WriteFile(file, p.Code, 0o500)
}

// Probe asks the process whether it is well, by the health service that go-plugin has every plugin serve.
// The error is ErrHangs of one that does not answer in time.
func (q *Process) Probe(ctx context.Context, within time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	r, err := healthpb.NewHealthClient(q.Conn).Check(bounded, &healthpb.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	switch {
	case errors.Is(bounded.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w to a probe within %v", ErrHangs, within)
	case err != nil:
		return fmt.Errorf("probe: %s", status.Convert(err).Message())
	case r.Status != healthpb.HealthCheckResponse_SERVING:
		return fmt.Errorf("probe: it says %v", r.Status)
	}
	return nil
}

// PID is the number of the process.
func (q *Process) PID() int { return q.run.pid() }

// grace is how long a process has to end when it is told to.
const grace = 3 * time.Second

// End asks the process to end, and makes it.
func (q *Process) End() {
	timer := time.AfterFunc(grace, q.run.kill)
	defer timer.Stop()
	q.client.Kill()
	q.run.kill() // what it has started
	_ = os.RemoveAll(q.folder)
}

// Kill ends the process at once, whatever there is of it.
func (q *Process) Kill() {
	if q.client != nil {
		q.run.kill()
		q.client.Kill()
	}
	_ = os.RemoveAll(q.folder)
}
