package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
)

// certificates are the TLS settings of a front, read again when their files
// change. New certificates go into the running tls.Config, so that session
// tickets stay good; a new client CA makes a new one, so that they don't.
type certificates struct {
	settings *manifest.TLS
	pairs    atomic.Pointer[[]tls.Certificate]
	current  atomic.Pointer[tls.Config]
	quic     atomic.Pointer[tls.Config] // current, for HTTP/3

	seen    [sha256.Size]byte // of all files' bytes
	caBytes []byte

	done    chan struct{}
	stopped sync.WaitGroup
}

// files is what one look at the files found.
type files struct {
	pairs []tls.Certificate
	ca    []byte
	pool  *x509.CertPool
	sum   [sha256.Size]byte
}

// loadCertificates reads all files; the problem lacks the listener's index.
func loadCertificates(settings *manifest.TLS) (*certificates, *Problem) {
	found, problem := readFiles(settings)
	if problem != nil {
		return nil, problem
	}
	c := &certificates{settings: settings, done: make(chan struct{})}
	c.use(found)
	return c, nil
}

// config returns what a new connection is served with.
func (c *certificates) config() *tls.Config { return c.current.Load() }

// use puts in what was read.
func (c *certificates) use(found *files) {
	c.pairs.Store(&found.pairs)
	c.seen = found.sum
	if c.current.Load() == nil || !bytes.Equal(c.caBytes, found.ca) {
		c.caBytes = found.ca
		config := c.newConfig(found.pool)
		c.quic.Store(newQUICConfig(config))
		c.current.Store(config)
	}
}

func (c *certificates) newConfig(pool *x509.CertPool) *tls.Config {
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: c.certificate,
		ClientCAs:      pool,
	}
	if c.settings.MinVersion == "1.3" {
		config.MinVersion = tls.VersionTLS13
	}
	switch c.settings.ClientAuth {
	case "optional":
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

// certificate chooses by SNI: the first pair that fits, exact or by wildcard,
// and that the client's algorithms allow, else the first.
func (c *certificates) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	pairs := *c.pairs.Load()
	if len(pairs) > 1 && hello.ServerName != "" {
		for i := range pairs {
			if hello.SupportsCertificate(&pairs[i]) == nil {
				return &pairs[i], nil
			}
		}
	}
	return &pairs[0], nil
}

// readFiles reads and checks every file of the settings.
func readFiles(settings *manifest.TLS) (*files, *Problem) {
	found := new(files)
	sum := sha256.New()
	for i, pair := range settings.Certificates {
		key := fmt.Sprintf("tls.certificates[%d]", i)
		cert, err := os.ReadFile(pair.Cert)
		if err != nil {
			return nil, &Problem{Path: key + ".cert", Err: err}
		}
		private, err := os.ReadFile(pair.Key)
		if err != nil {
			return nil, &Problem{Path: key + ".key", Err: err}
		}
		parsed, err := tls.X509KeyPair(cert, private)
		if err != nil {
			return nil, &Problem{Path: key, Err: fmt.Errorf("load %s and %s: %w", pair.Cert, pair.Key, err)}
		}
		found.pairs = append(found.pairs, parsed)
		sum.Write(cert)
		sum.Write(private)
	}
	if len(found.pairs) == 0 {
		return nil, &Problem{Path: "tls.certificates", Err: errors.New("there is no certificate")}
	}
	if settings.ClientCA != "" {
		var err error
		if found.ca, err = os.ReadFile(settings.ClientCA); err != nil {
			return nil, &Problem{Path: "tls.client_ca", Err: err}
		}
		found.pool = x509.NewCertPool()
		if !found.pool.AppendCertsFromPEM(found.ca) {
			return nil, &Problem{Path: "tls.client_ca", Err: fmt.Errorf("%s has no PEM certificate", settings.ClientCA)}
		}
		sum.Write(found.ca)
	}
	sum.Sum(found.sum[:0])
	return found, nil
}

// watch looks at the files again and again until stop is called.
func (c *certificates) watch(interval time.Duration, log *slog.Logger) {
	c.stopped.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		stamp, complaint := c.stamp(), ""
		for {
			select {
			case <-c.done:
				return
			case <-ticker.C:
			}
			now := c.stamp()
			if now == stamp {
				continue
			}
			if complaint = c.reload(log, complaint); complaint == "" {
				stamp = now
			}
		}
	})
}

// reload puts in what the files have now. What can't be used is logged once for
// each complaint, and what was in stays in.
func (c *certificates) reload(log *slog.Logger, last string) (complaint string) {
	found, problem := readFiles(c.settings)
	if problem != nil {
		complaint = problem.Path + ": " + problem.Err.Error()
		if complaint != last {
			log.Error("reload TLS files: the old ones stay in use", "path", problem.Path, "error", problem.Err)
		}
		return complaint
	}
	if found.sum != c.seen {
		c.use(found)
		log.Info("TLS files reloaded")
	}
	return ""
}

// stamp changes when any of the files may have changed.
func (c *certificates) stamp() string {
	var b []byte
	look := func(path string) {
		if path == "" {
			return
		}
		if info, err := os.Stat(path); err == nil {
			b = fmt.Appendf(b, "%d %d;", info.ModTime().UnixNano(), info.Size())
		} else {
			b = append(b, "none;"...)
		}
	}
	for _, pair := range c.settings.Certificates {
		look(pair.Cert)
		look(pair.Key)
	}
	look(c.settings.ClientCA)
	return string(b)
}

// stop ends watch.
func (c *certificates) stop() {
	close(c.done)
	c.stopped.Wait()
}
