package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/ergoproxy/ergo/host/exchange"
)

// probeEvery is how often a process is asked whether it is well that has said nothing for as long, so
// that one that hangs is found before it costs an exchange.
const probeEvery = time.Second

// probe asks a process whether it is well, by the health service that go-plugin has every plugin serve.
func (q *process) probe(ctx context.Context, within time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	r, err := q.remote.health.Check(bounded, &healthpb.HealthCheckRequest{Service: goplugin.GRPCServiceName})
	switch {
	case errors.Is(bounded.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w to a probe within %v", errHangs, within)
	case err != nil:
		return fmt.Errorf("probe: %s", status.Convert(err).Message())
	case r.Status != healthpb.HealthCheckResponse_SERVING:
		return fmt.Errorf("probe: it says %v", r.Status)
	}
	return nil
}

// watch probes the process while it is silent, and breaks its stream when it does not answer.
func (q *process) watch(within time.Duration) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	s := q.stream
	for {
		select {
		case <-s.broken:
			return
		case <-tick.C:
		}
		if exchange.Clock()-time.Duration(s.heard.Load()) < probeEvery {
			continue
		}
		if err := q.probe(s.carry.Context(), within); err != nil {
			s.fail(err)
			return
		}
	}
}
