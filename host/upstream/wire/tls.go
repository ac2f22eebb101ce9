package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

var errNoCertificate = errors.New("no certificate in file")

// tlsSource makes TLS configurations for one endpoint. It reads its files again
// when they have changed and keeps the last good ones if that fails.
type tlsSource struct {
	conf     manifest.UpstreamTLS
	log      *slog.Logger
	sessions tls.ClientSessionCache

	mu    sync.Mutex
	files [3]fileStamp
	roots *x509.CertPool // nil: the system's
	own   []tls.Certificate
}

// fileStamp tells whether a file has changed.
type fileStamp struct {
	modified time.Time
	size     int64
}

// sessionsKept bounds the session tickets that are kept for an endpoint.
const sessionsKept = 32

func newTLSSource(conf manifest.UpstreamTLS, log *slog.Logger) (*tlsSource, error) {
	s := &tlsSource{conf: conf, log: log, sessions: tls.NewLRUClientSessionCache(sessionsKept)}
	s.files = s.stamps()
	return s, s.load()
}

// config returns the configuration for a new connection.
func (s *tlsSource) config(protocols []string) *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.stamps(); now != s.files {
		s.files = now
		if err := s.load(); err != nil {
			s.log.Error("keep the last good certificates for an upstream", "err", err)
		} else {
			s.sessions = tls.NewLRUClientSessionCache(sessionsKept)
		}
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         s.conf.ServerName,
		RootCAs:            s.roots,
		Certificates:       s.own,
		NextProtos:         protocols,
		ClientSessionCache: s.sessions,
		InsecureSkipVerify: s.conf.Insecure,
	}
}

func (s *tlsSource) stamps() (stamps [3]fileStamp) {
	for i, path := range []string{s.conf.CA, s.conf.Cert, s.conf.Key} {
		if path != "" {
			stamps[i] = stampOf(path)
		}
	}
	return stamps
}

// stampOf returns the zero stamp for a file that is not there.
func stampOf(path string) fileStamp {
	info, err := os.Stat(path)
	if err != nil {
		return fileStamp{}
	}
	return fileStamp{info.ModTime(), info.Size()}
}

func (s *tlsSource) load() error {
	roots, own := s.roots, s.own
	if s.conf.CA != "" {
		pem, err := os.ReadFile(s.conf.CA)
		if err != nil {
			return fmt.Errorf("read CA: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read CA %s: %w", s.conf.CA, errNoCertificate)
		}
	}
	if s.conf.Cert != "" {
		pair, err := tls.LoadX509KeyPair(s.conf.Cert, s.conf.Key)
		if err != nil {
			return fmt.Errorf("load client certificate: %w", err)
		}
		own = []tls.Certificate{pair}
	}
	s.roots, s.own = roots, own
	return nil
}
