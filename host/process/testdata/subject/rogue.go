package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/ergoproxy/ergo/sdk/plugin"
	"github.com/ergoproxy/ergo/sdk/plugin/pluginpb"
)

// roles are what the program does under another name, before or in place of the protocol.
var roles = map[string]func(){
	"exits": func() {
		fmt.Fprintln(os.Stderr, "no such luck")
		os.Exit(3)
	},
	"mute":    func() { time.Sleep(time.Hour) },
	"garbage": func() { fmt.Println("hello, world") },
	"version": func() {
		handshake := plugin.Handshake()
		handshake.ProtocolVersion = 99
		serve(handshake, nil)
	},
	"noise": func() {
		serveBy(func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.ForceServerCodec(noisy{}))...)
		}, plugin.Handshake(), twiceDone)
	},
	"unknown": func() { serve(plugin.Handshake(), stray(1<<40)) },
	"zero":    func() { serve(plugin.Handshake(), stray(0)) },
	"chatty":  func() { serve(plugin.Handshake(), twiceDone) },
	"pieces": func() {
		serve(plugin.Handshake(), func(e *pluginpb.HostEvent) []*pluginpb.PolicyEvent {
			piece := &pluginpb.PolicyEvent{Exchange: e.Exchange, Event: &pluginpb.PolicyEvent_Piece{Piece: make([]byte, 1<<20)}}
			return []*pluginpb.PolicyEvent{piece, piece, piece}
		})
	},
	"empty": func() {
		serve(plugin.Handshake(), func(e *pluginpb.HostEvent) []*pluginpb.PolicyEvent {
			return []*pluginpb.PolicyEvent{{Exchange: e.Exchange}}
		})
	},
	"huge": func() {
		serve(plugin.Handshake(), func(e *pluginpb.HostEvent) []*pluginpb.PolicyEvent {
			return []*pluginpb.PolicyEvent{doneWith(e, &pluginpb.Done{Answer: &pluginpb.Answer{Status: 200, Body: make([]byte, 64<<20)}})}
		})
	},
	"ready":  func() { serve(plugin.Handshake(), nil, doneOf(0), doneOf(0)) },
	"greedy": func() { serve(plugin.Handshake(), nil, slices.Repeat([]*pluginpb.PolicyEvent{fetchOf(0)}, 1<<14)...) },
	"early":  func() { serve(plugin.Handshake(), nil, &pluginpb.PolicyEvent{Event: &pluginpb.PolicyEvent_Piece{}}) },
	"hangup": func() {
		serve(plugin.Handshake(), func(*pluginpb.HostEvent) []*pluginpb.PolicyEvent { return nil })
	},
}

func doneOf(exchange uint64) *pluginpb.PolicyEvent {
	return doneWith(&pluginpb.HostEvent{Exchange: exchange}, &pluginpb.Done{})
}

func fetchOf(exchange uint64) *pluginpb.PolicyEvent {
	return &pluginpb.PolicyEvent{Exchange: exchange, Event: &pluginpb.PolicyEvent_Call{Call: &pluginpb.Call{
		Call: &pluginpb.Call_Fetch{Fetch: &pluginpb.Fetch{Url: "https://www.example.com/"}},
	}}}
}

func doneWith(e *pluginpb.HostEvent, done *pluginpb.Done) *pluginpb.PolicyEvent {
	return &pluginpb.PolicyEvent{Exchange: e.Exchange, Event: &pluginpb.PolicyEvent_Done{Done: done}}
}

func twiceDone(e *pluginpb.HostEvent) []*pluginpb.PolicyEvent {
	return []*pluginpb.PolicyEvent{doneWith(e, &pluginpb.Done{}), doneWith(e, &pluginpb.Done{})}
}

// say is what a rogue says to an event; nil ends the stream.
type say func(*pluginpb.HostEvent) []*pluginpb.PolicyEvent

// stray speaks of an exchange that is not there.
func stray(exchange uint64) say {
	return func(*pluginpb.HostEvent) []*pluginpb.PolicyEvent {
		return []*pluginpb.PolicyEvent{doneOf(exchange)}
	}
}

// rogue speaks the protocol, and breaks it.
type rogue struct {
	goplugin.NetRPCUnsupportedPlugin
	pluginpb.UnimplementedPolicyServer
	say say
	own []*pluginpb.PolicyEvent // of its own account, at first
}

func serve(handshake goplugin.HandshakeConfig, s say, own ...*pluginpb.PolicyEvent) {
	serveBy(goplugin.DefaultGRPCServer, handshake, s, own...)
}

func serveBy(server func([]grpc.ServerOption) *grpc.Server, handshake goplugin.HandshakeConfig, s say, own ...*pluginpb.PolicyEvent) {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake, GRPCServer: server,
		Plugins: goplugin.PluginSet{plugin.Name: &rogue{say: s, own: own}},
	})
}

// GRPCServer follows goplugin.GRPCPlugin.
func (r *rogue) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterPolicyServer(s, r)
	return nil
}

// GRPCClient follows goplugin.GRPCPlugin.
func (r *rogue) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

// Configure follows pluginpb.PolicyServer.
func (r *rogue) Configure(context.Context, *pluginpb.Configuration) (*pluginpb.Contract, error) {
	return &pluginpb.Contract{Request: true, Start: r.own != nil}, nil
}

// Carry follows pluginpb.PolicyServer.
func (r *rogue) Carry(stream grpc.BidiStreamingServer[pluginpb.HostBatch, pluginpb.PolicyBatch]) error {
	if err := stream.Send(&pluginpb.PolicyBatch{Events: r.own}); err != nil {
		return err
	}
	for {
		batch, err := stream.Recv()
		if err != nil {
			return err
		}
		for _, e := range batch.Events {
			events := r.say(e)
			if events == nil {
				return nil
			}
			if err := stream.Send(&pluginpb.PolicyBatch{Events: events}); err != nil {
				return err
			}
		}
	}
}

// noisy writes events as what is no message.
type noisy struct{}

// Name follows encoding.Codec.
func (noisy) Name() string { return "proto" }

// Marshal follows encoding.Codec.
func (noisy) Marshal(v any) ([]byte, error) {
	if batch, ok := v.(*pluginpb.PolicyBatch); ok && len(batch.Events) > 0 {
		return []byte("\xffwhat is this?"), nil
	}
	return proto.Marshal(v.(proto.Message))
}

// Unmarshal follows encoding.Codec.
func (noisy) Unmarshal(data []byte, v any) error { return proto.Unmarshal(data, v.(proto.Message)) }
