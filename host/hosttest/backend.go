package hosttest

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"testing"
)

// Backend is an origin on loopback.
type Backend struct {
	Addr   string // "127.0.0.1:port"
	URL    string // "http://" or "https://" and Addr
	server *http.Server
}

// Serve starts a backend that speaks HTTP/1.1 and HTTP/2 with prior knowledge.
func Serve(t testing.TB, h http.Handler) *Backend { return ServeAt(t, "127.0.0.1:0", h) }

// ServeAt is Serve on a given address, for one that comes back after Close.
func ServeAt(t testing.TB, addr string, h http.Handler) *Backend {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	l := listen(t, addr)
	b := &Backend{Addr: l.Addr().String(), URL: "http://" + l.Addr().String()}
	b.run(t, l, &http.Server{Handler: h, Protocols: protocols})
	return b
}

// ServeTLS starts a backend that speaks HTTP/1.1 and HTTP/2 by ALPN.
func ServeTLS(t testing.TB, config *tls.Config, h http.Handler) *Backend {
	t.Helper()
	config = config.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	l := listen(t, "127.0.0.1:0")
	b := &Backend{Addr: l.Addr().String(), URL: "https://" + l.Addr().String()}
	b.run(t, tls.NewListener(l, config), &http.Server{Handler: h})
	return b
}

func (b *Backend) run(t testing.TB, l net.Listener, server *http.Server) {
	server.ErrorLog = log.New(io.Discard, "", 0)
	b.server = server
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server.Serve(l)
	}()
	t.Cleanup(func() {
		b.Close()
		<-ended
	})
}

// Close ends the backend and its connections at once.
func (b *Backend) Close() { b.server.Close() }

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Seen is what Echo answers: the request as it reached the backend.
type Seen struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Host    string      `json:"host"`
	Proto   string      `json:"proto"`
	Length  int64       `json:"length"` // as announced; -1 if it was not
	Header  http.Header `json:"header"`
	Trailer http.Header `json:"trailer"`
	Body    string      `json:"body"`
}

// Echo answers with the request as JSON. A number in the query parameter
// "status" is the response's status, other parameters are its header.
func Echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, err := json.Marshal(Seen{
		Method: r.Method, Target: r.RequestURI, Host: r.Host, Proto: r.Proto, Length: r.ContentLength,
		Header: r.Header, Trailer: r.Trailer, Body: string(body),
	})
	if err != nil {
		panic(err) // the type can be encoded
	}
	status := http.StatusOK
	w.Header().Set("Content-Type", "application/json")
	for name, values := range r.URL.Query() {
		if n, err := strconv.Atoi(values[0]); name == "status" && err == nil {
			status = n
		} else {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
	}
	w.WriteHeader(status)
	w.Write(answer)
}

// Decode reads what Echo answered.
func Decode(t testing.TB, body io.Reader) Seen {
	t.Helper()
	var seen Seen
	if err := json.NewDecoder(body).Decode(&seen); err != nil {
		t.Fatalf("decode what the backend saw: %v", err)
	}
	return seen
}
