package upstream

import (
	"context"
	"errors"
	"log/slog"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// transport carries tries to one endpoint, as *wire.Client does.
type transport interface {
	Carry(t *wire.Try) *wire.Error
	Check(ctx context.Context, h *manifest.Health, authority string) error
	Sweep()
	Close()
}

var _ transport = (*wire.Client)(nil)

// Reasons for which nobody is asked.
var (
	errNoUpstream      = errors.New("no such upstream")
	errNoEndpoint      = errors.New("no endpoint is available")
	errBreakerOpen     = errors.New("circuit breaker is open")
	errTooManyRequests = errors.New("too many requests in flight")
)

// settings says what a connection to an endpoint of the pool depends on.
func (p *pool) settings(address string) wire.Settings {
	s := wire.Settings{Protocol: p.conf.Protocol, Limits: p.conf.Connections}
	if p.conf.TLS != nil {
		s.TLS = *p.conf.TLS
	}
	if s.TLS.ServerName == "" {
		named := address
		if d := p.conf.Discovery; d != nil && d.DNS != "" {
			named = d.DNS
		}
		s.TLS.ServerName = hostname(named)
	}
	return s
}

func newTransport(address string, s wire.Settings, log *slog.Logger) (transport, error) {
	if address == echoAddress {
		return echo{}, nil
	}
	var err error
	if s.Scheme, s.Host, err = dialAddress(address); err != nil {
		return nil, err
	}
	return wire.New(s, log)
}
