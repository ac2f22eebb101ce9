package hosttest

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc"
)

// rawMessages has grpc-go carry bytes.
type rawMessages struct{}

func (rawMessages) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (rawMessages) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }
func (rawMessages) Name() string                       { return "raw" }

// ServeGRPC starts a server of grpc-go, until the test ends, that gives the streams
// of all methods to handle. Messages are bytes: a *[]byte for SendMsg and RecvMsg.
func ServeGRPC(t testing.TB, handle grpc.StreamHandler) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(rawMessages{}), grpc.UnknownServiceHandler(handle))
	ended := make(chan struct{})
	go func() { defer close(ended); server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-ended })
	return "http://" + l.Addr().String()
}

// Talk answers each message of a stream that ServeGRPC handed over with "re: " and
// itself, until the client has said all.
func Talk(s grpc.ServerStream) error {
	for {
		var m []byte
		if err := s.RecvMsg(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		m = append([]byte("re: "), m...)
		if err := s.SendMsg(&m); err != nil {
			return err
		}
	}
}
