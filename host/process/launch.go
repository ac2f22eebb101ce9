package process

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/sdk/plugin"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// errContract says that a process asks for something else than the one before it.
var errContract = errors.New("it asks to see something else than the process before it")

// maxMessage bounds what a process sends at once.
const maxMessage = 16 << 20

// window is how much may be on its way to the host.
const window = 1 << 20

// launch starts processes of one policy.
type launch struct {
	name     string // of the policy
	artifact *policy.Artifact
	config   []byte
	limits   manifest.Process
	log      *slog.Logger
	lines    *lines
	call     ownCall
}

// process is one that runs, with its stream.
type process struct {
	child  *child
	client *goplugin.Client
	remote *remote
	stream *stream
	folder string // of its program and its sockets; nobody else may enter
}

// start starts a process, configures it, and proves that it is well. What it says on standard
// error meanwhile is part of the error.
func (l *launch) start(ctx context.Context) (*process, *pluginpb.Contract, error) {
	q := new(process)
	said := l.lines.recent()
	contract, err := l.open(ctx, q)
	if err == nil {
		return q, contract, nil
	}
	q.kill()
	var refused *policy.Error
	if words := said(); words != "" && !errors.As(err, &refused) {
		err = fmt.Errorf("%w: it said: %s", err, words)
	}
	return nil, nil, err
}

func (l *launch) open(ctx context.Context, q *process) (*pluginpb.Contract, error) {
	var err error
	if q.folder, err = os.MkdirTemp("", "ergo-"); err != nil { // 0700
		return nil, err
	}
	binary, err := l.install(q.folder)
	if err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	settings, err := l.settings(q, binary)
	if err != nil {
		return nil, err
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
		q.child.kill()
		<-connected
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	dispensed, err := conn.Dispense(plugin.Name)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	q.remote = dispensed.(*remote)
	if err := q.probe(ctx, l.limits.Start.D()); err != nil {
		return nil, err
	}
	return l.configure(ctx, q)
}

func (l *launch) configure(ctx context.Context, q *process) (*pluginpb.Contract, error) {
	bounded, cancel := context.WithTimeout(ctx, l.limits.Start.D())
	defer cancel()
	contract, err := q.remote.policy.Configure(bounded, &pluginpb.Configuration{Policy: l.name, Config: l.config})
	if status.Code(err) == codes.InvalidArgument {
		return nil, &policy.Error{Kind: policy.Config, Policy: l.name, Err: errors.New(status.Convert(err).Message())}
	}
	if err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	if contract.Keys && !contract.Start {
		return nil, fmt.Errorf("%w: a source of keys has to prepare", errProtocol)
	}
	streaming, stop := context.WithCancel(context.Background())
	carry, err := q.remote.policy.Carry(streaming)
	if err != nil {
		stop()
		return nil, fmt.Errorf("open its stream: %w", err)
	}
	var o *own
	if contract.Start {
		o = newOwn(l.call)
	}
	q.stream = newStream(carry, stop, o)
	go q.stream.run()
	if o != nil {
		if err := o.await(bounded, q.stream); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	return contract, nil
}

// settings are how go-plugin starts a process: gRPC over a unix socket, both sides with
// certificates made for this one connection, a program that has been checked, and none of
// the host's environment.
func (l *launch) settings(q *process, binary string) (*goplugin.ClientConfig, error) {
	trust, certificate, err := identity()
	if err != nil {
		return nil, err
	}
	sum, _ := hex.DecodeString(strings.TrimPrefix(l.artifact.Digest, "sha256:"))
	q.child = &child{
		binary: binary, folder: q.folder, limits: l.limits, certificate: certificate,
		checksum: goplugin.SecureConfig{Checksum: sum, Hash: sha256.New()},
	}
	return &goplugin.ClientConfig{
		HandshakeConfig:  plugin.Handshake(),
		Plugins:          goplugin.PluginSet{plugin.Name: client{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		TLSConfig:        trust,
		SkipHostEnv:      true,
		RunnerFunc:       q.child.runner,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: q.folder},
		StartTimeout:     l.limits.Start.D(),
		Stderr:           l.lines,
		SyncStdout:       l.lines,
		SyncStderr:       l.lines, // what comes after the handshake, when standard error is no more
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
			// Windows that are given keep gRPC from measuring the path, by a ping for each message.
			grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		},
	}, nil
}

// remote is what a process serves.
type remote struct {
	policy pluginpb.PolicyClient
	health healthpb.HealthClient
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
	return &remote{policy: pluginpb.NewPolicyClient(conn), health: healthpb.NewHealthClient(conn)}, nil
}

// run carries exchanges until the process or ctx ends, and returns why.
func (q *process) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, q.stream.cancel)
	defer stop()
	<-q.stream.ended
	return q.stream.cause()
}

// grace is how long a process has to end when it is told to.
const grace = 3 * time.Second

// end asks the process to end, and makes it.
func (q *process) end() {
	timer := time.AfterFunc(grace, q.child.kill)
	defer timer.Stop()
	q.stream.cancel()
	<-q.stream.ended
	q.client.Kill()
	q.child.kill() // what it has started
	_ = os.RemoveAll(q.folder)
}

// kill ends the process at once, whatever there is of it.
func (q *process) kill() {
	if q.stream != nil {
		q.stream.cancel()
		<-q.stream.ended
	}
	if q.client != nil {
		q.child.kill()
		q.client.Kill()
	}
	_ = os.RemoveAll(q.folder)
}

func (q *process) pid() int { return q.child.pid() }

func equal(a, b *pluginpb.Contract) bool { return proto.Equal(a, b) }

// install writes the program into the process's folder, so that what was read and checked
// is what is started, whatever becomes of the file that it came from.
func (l *launch) install(folder string) (file string, err error) {
	file = filepath.Join(folder, filepath.Base(l.artifact.File.Module))
	// A fork at the wrong moment would keep the file open for writing, and nobody could run it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return file, os.WriteFile(file, l.artifact.Module, 0o500)
}

var _ runner.Runner = (*child)(nil)
