// Package feed keeps a key that a plugin process knows: it asks for its versions again and
// again, and tells when they have changed.
package feed

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ergoproxy/ergo/host/keyring"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
)

// minPause is the first pause after a source could not be asked; it doubles up to the
// interval at which it is asked.
const minPause = time.Second

// Feed is a key whose source is asked again and again. What that has once said holds until
// it says something else: also while it cannot be asked. It is safe for concurrent use.
type Feed struct {
	source policy.KeySource
	config manifest.Key
	log    *slog.Logger

	mu  sync.Mutex
	key *keyring.Key // with a reference of the feed's

	stop  context.CancelFunc // of watch
	ended chan struct{}
}

// Open asks a source for a key of the manifest, and goes on until Close. The caller has the
// source until then.
func Open(ctx context.Context, source policy.KeySource, config manifest.Key, log *slog.Logger) (*Feed, error) {
	f := &Feed{source: source, config: config, log: log, ended: make(chan struct{})}
	var err error
	f.key, err = f.fetch(ctx)
	return f, err
}

// Watch calls asked each time that the source was asked. It is called once, before Close.
func (f *Feed) Watch(asked func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	go f.watch(ctx, asked)
}

// Close ends the feed and lets go of its key.
func (f *Feed) Close() {
	f.stop()
	<-f.ended
	f.key.Release()
}

// Current returns the key with a reference that is the caller's.
func (f *Feed) Current() *keyring.Key {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key.Retain()
	return f.key
}

func (f *Feed) watch(ctx context.Context, asked func(context.Context)) {
	defer close(f.ended)
	interval, pause := f.config.Source.Refresh.D(), minPause
	wait := interval
	for {
		timer := time.NewTimer(wait - rand.N(wait/10+1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		err := f.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait, pause = interval, minPause
		} else {
			wait, pause = min(pause, interval), min(2*pause, interval)
			f.log.Warn("a key's source cannot be asked: what it said last holds", "key", f.config.Source.Name, "err", err)
		}
		asked(ctx)
	}
}

// renew has the key be what its source says now.
func (f *Feed) renew(ctx context.Context) error {
	fresh, err := f.fetch(ctx)
	if err != nil {
		return err
	}
	f.mu.Lock()
	old := f.key
	if fresh.Fingerprint() == old.Fingerprint() {
		old = fresh
	} else {
		f.key = fresh
	}
	f.mu.Unlock()
	old.Release()
	return nil
}

// fetch asks the source for the key.
func (f *Feed) fetch(ctx context.Context) (*keyring.Key, error) {
	bounded, cancel := context.WithTimeout(ctx, f.config.Source.Timeout.D())
	defer cancel()
	said, err := f.source.Keys(bounded, f.config.Source.Name)
	if err != nil {
		return nil, err
	}
	return parse(&f.config, said)
}

// parse makes a key of what a source says, and zeroes that.
func parse(config *manifest.Key, said []policy.KeyVersion) (*keyring.Key, error) {
	defer func() {
		for _, v := range said {
			clear(v.Material)
		}
	}()
	if len(said) == 0 || len(said) > keyring.MaxVersions {
		return nil, fmt.Errorf("the source says %d versions, not 1 to %d", len(said), keyring.MaxVersions)
	}
	versions := make([]*keyring.Version, 0, len(said))
	ids := make(map[string]bool, len(said))
	for _, v := range said {
		parsed, err := parseVersion(config, v, ids)
		if err != nil {
			for _, v := range versions {
				v.Wipe()
			}
			return nil, err
		}
		versions = append(versions, parsed)
	}
	return keyring.NewKey(config.Algorithm, versions...), nil
}

func parseVersion(config *manifest.Key, v policy.KeyVersion, ids map[string]bool) (*keyring.Version, error) {
	if !manifest.IsName(v.ID) || ids[v.ID] {
		return nil, fmt.Errorf("%.80q cannot be the id of a version, or is that of two", v.ID)
	}
	ids[v.ID] = true
	parsed, err := keyring.Parse(config.Algorithm, config.Encoding, v.ID, v.Material)
	if err != nil {
		return nil, fmt.Errorf("version %s: the key %w", v.ID, err)
	}
	return parsed, nil
}
