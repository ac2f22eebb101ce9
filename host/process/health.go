package process

import (
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// probeEvery is how often a process is asked whether it is well that has said nothing for as long, so
// that one that hangs is found before it costs an exchange.
const probeEvery = time.Second

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
		if err := q.Probe(s.carry.Context(), within); err != nil {
			s.fail(err)
			return
		}
	}
}
