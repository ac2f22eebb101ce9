package upstream

import (
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/upstream/wire"
)

// breaker keeps an upstream as a whole from being asked too much, or at all
// while it fails. Its state outlives generations; their settings do not.
type breaker struct {
	inFlight  atomic.Int64
	pending   atomic.Int64 // waiting for a connection
	window    window       // exchanges, and those that failed
	openUntil atomic.Int64 // 0 while it is closed; past while it is half open
	probing   atomic.Bool  // half open, and the one exchange that may pass is on its way
}

// verdict is what an exchange says about its upstream.
type verdict uint8

const (
	neutral verdict = iota // it ended for reasons that are not the upstream's
	good
	bad
)

// enter admits an exchange, which is to be followed by judge, once, and by
// leave. probe says that the breaker's fate hangs on it.
func (b *breaker) enter(conf *manifest.UpstreamBreaker, now int64) (probe bool, e *wire.Error) {
	if b.inFlight.Add(1) > int64(conf.MaxRequests) {
		b.leave()
		return false, &wire.Error{Cause: exchange.CauseOverload, Blame: wire.BlameHost, RetryAfter: time.Second, Err: errTooManyRequests}
	}
	until := b.openUntil.Load()
	if until == 0 {
		return false, nil
	}
	if until <= now && b.probing.CompareAndSwap(false, true) {
		return true, nil
	}
	b.leave()
	wait := max(time.Duration(until-now), time.Second)
	return false, &wire.Error{Cause: exchange.CauseCircuitOpen, Blame: wire.BlameHost, RetryAfter: wait, Err: errBreakerOpen}
}

// leave ends what enter began.
func (b *breaker) leave() { b.inFlight.Add(-1) }

// judge tells how an exchange went.
func (b *breaker) judge(conf *manifest.UpstreamBreaker, now int64, probe bool, v verdict) {
	if probe {
		b.judgeProbe(conf, now, v)
		return
	}
	if conf.FailureRate == 0 || v == neutral || b.openUntil.Load() != 0 {
		return
	}
	span := conf.Window.D()
	if v == good {
		b.window.add(now, span, 1, 0)
		return
	}
	b.window.add(now, span, 1, 1)
	total, failed := b.window.sum(now, span)
	if total >= int64(conf.MinRequests) && failed*100 >= total*int64(conf.FailureRate) {
		b.openUntil.Store(now + int64(conf.Open))
	}
}

func (b *breaker) judgeProbe(conf *manifest.UpstreamBreaker, now int64, v verdict) {
	switch v {
	case good:
		b.window.reset()
		b.openUntil.Store(0)
	case bad:
		b.openUntil.Store(now + int64(conf.Open))
	}
	b.probing.Store(false)
}

// state names what the breaker does, for status.
func (b *breaker) state(now int64) string {
	switch until := b.openUntil.Load(); {
	case until == 0:
		return "closed"
	case until > now:
		return "open"
	}
	return "half-open"
}
