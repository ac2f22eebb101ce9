// Package admin is the host's API for operators: status, swaps and metrics,
// over a unix socket, loopback or, with a token, any address.
//
// Who may use it is decided in three ways. A unix socket is open to its owner
// alone. An address asks for the token if there is one. Without a token only
// loopback is listened on, and a web page that the operator happens to visit is
// kept out: requests must name a loopback host (against DNS rebinding), and what
// changes anything must be JSON or TOML and of no foreign origin (against
// forgery).
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/ergoproxy/ergo/host/engine"
	"github.com/ergoproxy/ergo/host/manifest"
)

// Host is what is administered: an engine, for which a source without a path
// means the manifest that the host runs by.
type Host interface {
	Ready() bool
	Status() engine.Status
	History() []engine.Record
	Manifest() *manifest.Manifest // nil before the first generation
	Swap(ctx context.Context, cause string, from engine.Source) (*engine.Change, error)
	Rollback(ctx context.Context, steps int) (*engine.Change, error)
	Check(ctx context.Context, from engine.Source) (*engine.Change, error)
}

// Options are what a server is made of. Token and Metrics may be left out.
type Options struct {
	Address string // "host:port" or "unix:/path"
	Token   manifest.Secret
	Host    Host
	Caches  Caches
	Metrics http.Handler // nil: none are served
	Version string       // of the host
	Log     *slog.Logger
}

// Bounds of what a client of the API can make the host hold.
const (
	headerTimeout  = 5 * time.Second
	bodyTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 2 << 20 // a manifest of 1 MiB as JSON
)

// ErrOpenAddress says that an address that others can reach needs a token.
var ErrOpenAddress = errors.New("the admin address is neither a unix socket nor loopback and has no token")

// Server serves the API on one address.
type Server struct {
	opts     Options
	http     *http.Server
	listener net.Listener
	stopping chan struct{}
	ended    chan struct{}
}

// Listen starts a server. Shutdown ends it.
func Listen(opts Options) (*Server, error) {
	listener, err := listen(opts.Address, opts.Token.Reveal() != "")
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, listener: listener, stopping: make(chan struct{}), ended: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(opts.Log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			opts.Log.Error("admin API ended", "err", err)
		}
	}()
	return s, nil
}

// Address returns the address that clients reach the server at, in the form of
// Options.Address: with the port that was picked for 0.
func (s *Server) Address() string {
	if a := s.listener.Addr(); a.Network() != "unix" {
		return a.String()
	}
	return s.opts.Address
}

// Drain makes the host count as not ready while it still serves.
func (s *Server) Drain() { close(s.stopping) }

// Shutdown stops listening and waits for calls to end, until ctx does.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.ended
	return err
}

// ready reports whether the host carries exchanges and will go on to.
func (s *Server) ready() bool {
	select {
	case <-s.stopping:
		return false
	default:
		return s.opts.Host.Ready()
	}
}
