package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"
)

// origins are two backends that answer alike. They tell each answer's request
// marks back, so that a client sees which generation carried it on its way in.
type origins struct {
	urls    []string
	servers []*http.Server
	grpc    *grpc.Server
}

func startOrigins() (*origins, error) {
	o := &origins{grpc: grpc.NewServer()}
	grpc_testing.RegisterTestServiceServer(o.grpc, echo{})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: o.handler(), Protocols: protocols}
		go server.Serve(l)
		o.servers = append(o.servers, server)
		o.urls = append(o.urls, "http://"+l.Addr().String())
	}
	return o, nil
}

func (o *origins) stop() {
	for _, s := range o.servers {
		s.Close()
	}
	o.grpc.Stop()
}

func (o *origins) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/events", events)
	mux.HandleFunc("/socket", socket)
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, n)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, payload) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, tier := range []string{"edge", "service"} {
			w.Header().Set("x-"+tier+"-told", r.Header.Get("x-"+tier+"-request"))
		}
		if strings.HasPrefix(r.Header.Get("content-type"), "application/grpc") {
			o.grpc.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var payload = strings.Repeat("0123456789abcdef", 64)

// events is a stream of server-sent events that ends by itself.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("content-type", "text/event-stream")
	for i := range eventCount {
		fmt.Fprintf(w, "data: %d\n\n", i)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

const eventCount = 25

// socket echoes a WebSocket's messages until the client closes it.
func socket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, message, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

// writeCertificate makes a self-signed certificate for 127.0.0.1.
func writeCertificate(certificate, key string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "soak"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	return errors.Join(err, writePEM(certificate, "CERTIFICATE", der), writePEM(key, "PRIVATE KEY", keyDER))
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// echo is a gRPC service that answers each message with one of the size asked for.
type echo struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (echo) FullDuplexCall(s grpc_testing.TestService_FullDuplexCallServer) error {
	for {
		in, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for _, wanted := range in.ResponseParameters {
			answer := &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: make([]byte, wanted.Size)}}
			if err := s.Send(answer); err != nil {
				return err
			}
		}
	}
}
