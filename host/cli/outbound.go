package cli

import (
	"time"

	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/outbound"
	"github.com/ergoproxy/ergo/host/telemetry"
)

// outbound makes the client of a policy that may call out.
func (p *parts) outbound(name string, calls *manifest.Outbound) *outbound.Client {
	config := outbound.Config{
		Policy:        name,
		Hosts:         calls.Hosts,
		Upstreams:     calls.Upstreams,
		Methods:       calls.Methods,
		Internal:      calls.Internal,
		CA:            calls.CA,
		RequestBytes:  int64(calls.RequestBody),
		ResponseBytes: int64(calls.ResponseBody),
		Timeout:       calls.Timeout.D(),
		Concurrent:    calls.Concurrent,
	}
	return outbound.New(config, outbound.Options{Upstreams: p.engine, Meter: meter{p.metrics.Outbound(name)}})
}

// meter counts calls of a policy in telemetry's terms.
type meter struct{ *telemetry.RED }

var _ outbound.Meter = meter{}

// End follows outbound.Meter.
func (m meter) End(elapsed time.Duration, failure *outbound.Error) {
	outcome := telemetry.Responded
	if failure != nil {
		outcome = outcomes[failure.Kind]
	}
	m.RED.End(elapsed, outcome)
}

var outcomes = [...]telemetry.Outcome{
	outbound.NotGranted: telemetry.CallRefused,
	outbound.BadRequest: telemetry.CallRefused,
	outbound.Refused:    telemetry.CallRefused,
	outbound.Busy:       telemetry.CallBusy,
	outbound.TimedOut:   telemetry.CallTimedOut,
	outbound.TooLarge:   telemetry.CallTooLarge,
	outbound.Failed:     telemetry.CallFailed,
}
