package state

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/ergoproxy/ergo/host/exchange"
)

// RedisOptions say where the shared store is: Redis, or what speaks its protocol
// and has its scripts, such as Valkey.
type RedisOptions struct {
	Address     string // "host:port" or "unix:/path"
	Username    string
	Password    string
	TLS         *tls.Config // nil: none
	Database    int
	Timeout     time.Duration // of one operation, waiting for a connection included
	Connections int
	// Prefix begins all keys, without a colon, which stands behind it. Hosts with one
	// prefix share what their policies of one name remember.
	Prefix string
}

// server is the shared store of a process. It takes no time to make, and needs
// nobody to be there.
type server struct {
	client  *redis.Client // nil: there is none
	timeout time.Duration
	prefix  string
	breaker breaker
	log     *slog.Logger
}

func newServer(o *RedisOptions, log *slog.Logger) *server {
	if o == nil {
		return new(server)
	}
	logging.Disable() // a line of its own for each failure, to the standard error
	network, address := "tcp", o.Address
	if path, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		network, address = "unix", path
	}
	return &server{
		client: redis.NewClient(&redis.Options{
			Network: network, Addr: address, Username: o.Username, Password: o.Password,
			TLSConfig: o.TLS, DB: o.Database, DisableIdentity: true, Protocol: 2,
			// One try: what is done twice would count twice.
			MaxRetries: -1, DialerRetries: 1,
			DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
			ContextTimeoutEnabled: true,
			PoolSize:              o.Connections, MaxActiveConns: o.Connections,
			ReadBufferSize: connBuffer, WriteBufferSize: connBuffer,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		}),
		timeout: o.Timeout,
		prefix:  o.Prefix + ":",
		log:     log,
	}
}

// connBuffer fits a command and its answer. Larger values take more reads.
const connBuffer = 4 << 10

func (s *server) close() error {
	if s.client == nil {
		return nil
	}
	return s.client.Close()
}

// Server is the shared store for those that keep something else in it. Its methods
// are safe for concurrent use.
type Server struct{ server *server }

// Server returns the shared store; nil: there is none. It is closed with r.
func (r *Registry) Server() *Server {
	if r.server.client == nil {
		return nil
	}
	return &Server{server: r.server}
}

// Client returns the client of the server.
func (s *Server) Client() *redis.Client { return s.server.client }

// Prefix begins all keys, with a colon at its end. What follows in the names of what
// policies remember is a policy's name, which is not empty.
func (s *Server) Prefix() string { return s.server.prefix }

// Do runs one operation, bounded by the server's timeout and by ctx. While the server
// is known to be gone it returns ErrUnavailable at once.
func (s *Server) Do(ctx context.Context, operation func(context.Context) error) error {
	return s.server.do(ctx, operation)
}

// Why the server is not even asked.
var (
	errNoServer = errors.New("this process was started without [state] redis")
	errOpen     = errors.New("it failed several times in a row and is tried again soon")
)

// do runs one operation on the server, bounded by its timeout and by ctx, and
// turns what Redis says into the errors of this package.
func (s *server) do(ctx context.Context, operation func(context.Context) error) error {
	if s.client == nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, errNoServer)
	}
	if !s.breaker.allow(exchange.Clock()) {
		return fmt.Errorf("%w: %w", ErrUnavailable, errOpen)
	}
	within, cancel := context.WithTimeout(ctx, s.timeout)
	err := meaning(operation(within))
	cancel()
	switch {
	case !errors.Is(err, ErrUnavailable):
		if s.breaker.succeed() {
			s.log.Info("shared state is available again")
		}
	case over(ctx): // the caller's end says nothing about the server
	case s.breaker.fail(exchange.Clock()):
		s.log.Error("shared state is not available", "err", err)
	}
	return err
}

// over reports whether ctx has ended, or is about to: connections look at its
// deadline themselves.
func over(ctx context.Context) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && !time.Now().Before(deadline)
}

// replies are those of Redis's error replies that mean something here. Before Redis 7
// a script's begins with where in it that was.
var replies = []struct {
	says string
	err  error
}{
	{"WRONGTYPE", ErrKind},
	{"ERR value is not an integer", ErrKind},
	{"ERR increment or decrement would overflow", ErrOverflow},
	{"OOM command not allowed", ErrFull},
}

// meaning returns what an error of the client's means. Any other reply, such as
// that of a server that still loads, is as good as none.
func meaning(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, redis.Nil) {
		return ErrNotFound
	}
	for _, own := range []error{ErrNotFound, ErrCAS, ErrKind} {
		if errors.Is(err, own) {
			return own
		}
	}
	if reply := redis.Error(nil); errors.As(err, &reply) {
		for _, r := range replies {
			if strings.Contains(reply.Error(), r.says) {
				return r.err
			}
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
