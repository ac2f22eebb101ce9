package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// Handshake is what a plugin and the host tell each other that they are meant for
// each other by; it is no secret. Its protocol version is that of the contract.
func Handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "ERGO_PLUGIN", MagicCookieValue: "ergo.plugin.v1"}
}

// Name is that of the plugin in the terms of go-plugin.
const Name = "policy"

// Serve runs the plugin, and returns when the host ends it. configure makes the policy; its error refuses the
// configuration. What it returns has at least one of the methods that a policy can have.
// Libraries that speak OpenTelemetry record their spans for the host, by the global TracerProvider.
func Serve(configure func(Config) (any, error)) {
	otel.SetTracerProvider(newProvider())
	goplugin.Serve(&goplugin.ServeConfig{
		// What it says of each start is of no use to operators, whose log it would be in.
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr}),
		HandshakeConfig: Handshake(),
		Plugins:         goplugin.PluginSet{Name: &served{server: &server{configure: configure}}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(maxMessage),
				// Windows that are given keep gRPC from measuring the path, by a ping for each message.
				grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window))...)
		},
	})
}

// maxMessage bounds what the host sends at once.
const maxMessage = 16 << 20

// window is how much may be on its way to the plugin.
const window = 1 << 20

// served is the policy as go-plugin takes it.
type served struct {
	goplugin.NetRPCUnsupportedPlugin
	server *server
}

var _ goplugin.GRPCPlugin = (*served)(nil)

// GRPCServer follows goplugin.GRPCPlugin.
func (s *served) GRPCServer(_ *goplugin.GRPCBroker, g *grpc.Server) error {
	pluginpb.RegisterPolicyServer(g, s.server)
	return nil
}

// GRPCClient follows goplugin.GRPCPlugin: a plugin is never its own host.
func (s *served) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

// server is the policy's side of the contract.
type server struct {
	pluginpb.UnimplementedPolicyServer
	configure func(Config) (any, error)

	mu     sync.Mutex
	policy *handlers // nil before Configure
}

// handlers are what a policy can be asked.
type handlers struct {
	request        RequestHandler
	requestBody    RequestBodyHandler
	requestStream  RequestStreamer
	response       ResponseHandler
	responseBody   ResponseBodyHandler
	responseStream ResponseStreamer
	failure        FailureHandler
	trailers       TrailersHandler
	done           DoneHandler
	starter        Starter
	keys           KeySource
	fields         []string
}

func handlersOf(policy any) (*handlers, error) {
	h := new(handlers)
	h.request, _ = policy.(RequestHandler)
	h.requestBody, _ = policy.(RequestBodyHandler)
	h.requestStream, _ = policy.(RequestStreamer)
	h.response, _ = policy.(ResponseHandler)
	h.responseBody, _ = policy.(ResponseBodyHandler)
	h.responseStream, _ = policy.(ResponseStreamer)
	h.failure, _ = policy.(FailureHandler)
	h.trailers, _ = policy.(TrailersHandler)
	h.done, _ = policy.(DoneHandler)
	h.starter, _ = policy.(Starter)
	h.keys, _ = policy.(KeySource)
	if c := h.contract(); !c.Request && !c.Response && !c.Failure && !c.Trailers && !c.Done && !c.Keys {
		return nil, fmt.Errorf("%T has none of the methods of a policy", policy)
	}
	if f, ok := policy.(FieldChooser); ok {
		h.fields = f.Fields()
	}
	return h, nil
}

func (h *handlers) contract() *pluginpb.Contract {
	return &pluginpb.Contract{
		Request:  h.request != nil || h.requestBody != nil || h.requestStream != nil,
		Response: h.response != nil || h.responseBody != nil || h.responseStream != nil,
		Failure:  h.failure != nil, Trailers: h.trailers != nil, Done: h.done != nil, Fields: h.fields,
		Start: h.starter != nil, Keys: h.keys != nil,
	}
}

// Configure follows pluginpb.PolicyServer.
func (s *server) Configure(_ context.Context, c *pluginpb.Configuration) (*pluginpb.Contract, error) {
	policy, err := s.configure(Config{Policy: c.Policy, JSON: c.Config})
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	h, err := handlersOf(policy)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	s.mu.Lock()
	s.policy = h
	s.mu.Unlock()
	return h.contract(), nil
}

// Carry follows pluginpb.PolicyServer.
func (s *server) Carry(stream grpc.BidiStreamingServer[pluginpb.HostBatch, pluginpb.PolicyBatch]) error {
	s.mu.Lock()
	h := s.policy
	s.mu.Unlock()
	if h == nil {
		return status.Error(codes.FailedPrecondition, "not configured")
	}
	return newLink(*h, stream).run()
}
