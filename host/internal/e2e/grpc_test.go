package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/hosttest"
)

// service is the origin's side of gRPC.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	server  *grpc.Server
	waiting atomic.Int64 // calls without an answer
}

func newService(t testing.TB) *service {
	s := &service{server: grpc.NewServer()}
	grpc_testing.RegisterTestServiceServer(s.server, s)
	t.Cleanup(s.server.Stop)
	return s
}

// UnaryCall answers with the payload, or with the status that is asked for, and
// repeats the caller's x-said as header and trailer.
func (*service) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	said, _ := metadata.FromIncomingContext(ctx)
	grpc.SetHeader(ctx, metadata.MD{"x-header": said["x-said"], "x-bytes-bin": said["x-bytes-bin"]})
	grpc.SetTrailer(ctx, metadata.MD{"x-trailer": said["x-said"]})
	if s := in.GetResponseStatus(); s != nil {
		return nil, status.Error(codes.Code(s.Code), s.Message)
	}
	return &grpc_testing.SimpleResponse{Payload: in.Payload}, nil
}

// EmptyCall never answers, and counts how many wait for it.
func (s *service) EmptyCall(ctx context.Context, _ *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// StreamingOutputCall sends a message of each size that is asked for.
func (*service) StreamingOutputCall(in *grpc_testing.StreamingOutputCallRequest, s grpc_testing.TestService_StreamingOutputCallServer) error {
	return sendAll(in.ResponseParameters, s)
}

// StreamingInputCall answers with the size of all messages.
func (*service) StreamingInputCall(s grpc_testing.TestService_StreamingInputCallServer) error {
	var size int32
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return s.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: size})
		} else if err != nil {
			return err
		}
		size += int32(len(in.GetPayload().GetBody()))
	}
}

// FullDuplexCall answers each message with those it asks for.
func (*service) FullDuplexCall(s grpc_testing.TestService_FullDuplexCallServer) error {
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return status.Error(codes.DataLoss, "that was all, ünd with % too")
		} else if err != nil {
			return err
		}
		if err := sendAll(in.ResponseParameters, s); err != nil {
			return err
		}
	}
}

func sendAll(wanted []*grpc_testing.ResponseParameters, to interface {
	Send(*grpc_testing.StreamingOutputCallResponse) error
}) error {
	for _, w := range wanted {
		if err := to.Send(&grpc_testing.StreamingOutputCallResponse{Payload: payload(int(w.Size))}); err != nil {
			return err
		}
	}
	return nil
}

func payload(size int) *grpc_testing.Payload { return &grpc_testing.Payload{Body: make([]byte, size)} }

// testGRPC uses the real client of gRPC.
func testGRPC(t *testing.T, p *passage) {
	via := insecure.NewCredentials()
	if p.client.secure {
		via = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	conn, err := grpc.NewClient("passthrough:///"+p.client.addr, grpc.WithTransportCredentials(via), grpc.WithAuthority(p.client.host))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// A conversation can't be held up until one side has said everything.
	ctx = metadata.AppendToOutgoingContext(ctx, "x-api-key", "demo")
	talk := metadata.AppendToOutgoingContext(ctx, "x-guest-do", "keep")
	c := grpc_testing.NewTestServiceClient(conn)

	t.Run("gRPC unary", func(t *testing.T) { testUnary(ctx, t, p.kind, c) })
	t.Run("gRPC status", func(t *testing.T) { testStatus(ctx, t, c) })
	t.Run("gRPC upload", func(t *testing.T) { testUpload(ctx, t, c) })
	t.Run("gRPC download", func(t *testing.T) { testDownload(ctx, t, c) })
	t.Run("gRPC conversation", func(t *testing.T) { testConversation(talk, t, c) })
	t.Run("gRPC cancel", func(t *testing.T) { testCancel(talk, t, c, &p.origin.grpc.waiting) })
}

func testUnary(ctx context.Context, t *testing.T, k kind, c grpc_testing.TestServiceClient) {
	ctx = metadata.AppendToOutgoingContext(ctx, "x-said", "one", "x-said", "two", "x-bytes-bin", "\x00\xff")
	var head, end metadata.MD
	out, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: payload(10000)}, grpc.Header(&head), grpc.Trailer(&end))
	if err != nil || len(out.GetPayload().GetBody()) != 10000 {
		t.Fatalf("got %d bytes, %v", len(out.GetPayload().GetBody()), err)
	}
	for _, got := range []struct {
		name string
		is   []string
		want []string
	}{
		{"x-header", head["x-header"], []string{"one", "two"}},
		{"x-bytes-bin", head["x-bytes-bin"], []string{"\x00\xff"}},
		{"x-trailer", end["x-trailer"], []string{"one", "two"}},
	} {
		if !slices.Equal(got.is, got.want) {
			t.Errorf("%s: got %q, want %q", got.name, got.is, got.want)
		}
	}
	if k.mark != "" && len(head.Get(k.mark)) == 0 {
		t.Errorf("header: got %v, want %s in it", head, k.mark)
	}
	if k.readsBodies() && !slices.Equal(end["x-guest-end"], []string{"was here"}) {
		t.Errorf("trailer: got %v, want the guest's mark in it", end)
	}
}

func testStatus(ctx context.Context, t *testing.T, c grpc_testing.TestServiceClient) {
	_, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{
		ResponseStatus: &grpc_testing.EchoStatus{Code: int32(codes.FailedPrecondition), Message: "not yet: 100 % ünready"},
	})
	if s := status.Convert(err); s.Code() != codes.FailedPrecondition || s.Message() != "not yet: 100 % ünready" {
		t.Errorf("got %v", err)
	}
	if _, err := c.CacheableUnaryCall(ctx, &grpc_testing.SimpleRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("unknown method: got %v", err)
	}
}

func testUpload(ctx context.Context, t *testing.T, c grpc_testing.TestServiceClient) {
	s, err := c.StreamingInputCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.Send(&grpc_testing.StreamingInputCallRequest{Payload: payload(5000)}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.CloseAndRecv()
	if err != nil || out.AggregatedPayloadSize != 100000 {
		t.Errorf("got %d, %v", out.GetAggregatedPayloadSize(), err)
	}
}

func testDownload(ctx context.Context, t *testing.T, c grpc_testing.TestServiceClient) {
	in := &grpc_testing.StreamingOutputCallRequest{}
	for i := range 20 {
		in.ResponseParameters = append(in.ResponseParameters, &grpc_testing.ResponseParameters{Size: int32(i * 10000)})
	}
	s, err := c.StreamingOutputCall(ctx, in)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		out, err := s.Recv()
		if err != nil || len(out.GetPayload().GetBody()) != i*10000 {
			t.Fatalf("message %d: got %d bytes, %v", i, len(out.GetPayload().GetBody()), err)
		}
	}
	if _, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end: got %v", err)
	}
}

// testConversation sends each message once the one before was answered.
func testConversation(ctx context.Context, t *testing.T, c grpc_testing.TestServiceClient) {
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		want := &grpc_testing.ResponseParameters{Size: int32(i)}
		if err := s.Send(&grpc_testing.StreamingOutputCallRequest{ResponseParameters: []*grpc_testing.ResponseParameters{want}}); err != nil {
			t.Fatal(err)
		}
		if out, err := s.Recv(); err != nil || len(out.GetPayload().GetBody()) != i {
			t.Fatalf("message %d: got %d bytes, %v", i, len(out.GetPayload().GetBody()), err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	if s := status.Convert(err); s.Code() != codes.DataLoss || s.Message() != "that was all, ünd with % too" {
		t.Errorf("end: got %v", err)
	}
}

// testCancel leaves a call that is never answered, and a conversation in its
// middle.
func testCancel(ctx context.Context, t *testing.T, c grpc_testing.TestServiceClient, waiting *atomic.Int64) {
	short, end := context.WithTimeout(ctx, 100*time.Millisecond)
	defer end()
	if _, err := c.EmptyCall(short, &grpc_testing.Empty{}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("got %v, want deadline exceeded", err)
	}
	hosttest.Eventually(t, func() bool { return waiting.Load() == 0 }, "the origin has learnt of the deadline")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := c.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	one := []*grpc_testing.ResponseParameters{{Size: 1}}
	if err := s.Send(&grpc_testing.StreamingOutputCallRequest{ResponseParameters: one}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("got %v, want canceled", err)
	}
}

// TestConversationThatAPolicyHoldsUp: a policy that reads a request to its end
// before it lets it go on can't be part of a conversation. The tier's deadline
// ends it in the way of gRPC.
func TestConversationThatAPolicyHoldsUp(t *testing.T) {
	o := startOrigin(t)
	o.grpc = newService(t)
	h := start(t, "edge.timeout = \"300ms\"\n"+fmt.Sprintf(bare, fmt.Sprintf("%q", o.URL), `protocol = "h2"`)+fmt.Sprintf(`
[policy.guest]
source = %q
limits.time = "10s"
[[edge.stage]]
name = "all"
use = [{ policy = "guest" }]
`, guest(t, "buffer(64KiB)")))
	conn, err := grpc.NewClient("passthrough:///"+h.addrs["plain"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := grpc_testing.NewTestServiceClient(conn).FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); status.Code(err) != codes.DeadlineExceeded || ctx.Err() != nil {
		t.Errorf("got %v, want the tier's deadline", err)
	}
	hosttest.Eventually(t, func() bool { return h.inFlight(t) == 0 }, "the exchange is over")
}
