package main

import (
	"context"
	"errors"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// unaryName is what the peer's program is started as.
const unaryName = "unary"

// unaryMethod takes a Request and says Done: a plain call for each exchange.
const unaryMethod = "/bench.Unary/Visit"

// unaryPlugin is the peer in the terms of go-plugin, so that its connection is made as the policy's is.
type unaryPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
}

var _ goplugin.GRPCPlugin = unaryPlugin{}

func unaryHandshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BENCH", MagicCookieValue: "unary"}
}

func serveUnary() {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: unaryHandshake(), GRPCServer: goplugin.DefaultGRPCServer,
		Plugins: goplugin.PluginSet{unaryName: unaryPlugin{}},
	})
}

// GRPCServer follows goplugin.GRPCPlugin.
func (unaryPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Unary", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Visit", Handler: answerUnary}},
	}, struct{}{})
	return nil
}

func answerUnary(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var r pluginpb.Request
	if err := decode(&r); err != nil {
		return nil, err
	}
	if len(r.Fields) == 0 {
		return nil, errors.New("there are no fields")
	}
	return new(pluginpb.Done), nil
}

// GRPCClient follows goplugin.GRPCPlugin.
func (unaryPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// unaryWay makes a call for each exchange.
type unaryWay struct {
	client *goplugin.Client
	conn   *grpc.ClientConn
}

func newUnary() (*unaryWay, error) {
	command := exec.Command("/proc/self/exe")
	command.Args = []string{unaryName}
	client := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: unaryHandshake(), Plugins: goplugin.PluginSet{unaryName: unaryPlugin{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC}, AutoMTLS: true,
		Cmd: command, Logger: hclog.NewNullLogger(),
	})
	protocol, err := client.Client()
	if err != nil {
		return nil, err
	}
	conn, err := protocol.Dispense(unaryName)
	if err != nil {
		client.Kill()
		return nil, err
	}
	return &unaryWay{client, conn.(*grpc.ClientConn)}, nil
}

// visit follows way.
func (w *unaryWay) visit(ctx context.Context, _ int) error {
	var fields []byte
	for _, f := range head {
		fields = append(append(fields, f.Name...), 0)
		fields = append(append(fields, f.Value...), 0)
	}
	request := &pluginpb.Request{
		Method: "GET", Scheme: "https", Authority: "www.example.com", Target: "/users/7?page=2", Fields: fields,
		Id: "test", Client: "192.0.2.7",
	}
	return w.conn.Invoke(ctx, unaryMethod, request, new(pluginpb.Done))
}

// close follows way.
func (w *unaryWay) close() error {
	err := w.conn.Close()
	w.client.Kill()
	return err
}
