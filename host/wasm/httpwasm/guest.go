package httpwasm

import (
	"context"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
)

// guest is one instance of a policy with what the ABI keeps beside it.
type guest struct {
	policy   *Policy
	instance *wasm.Instance
	request  api.Function
	response api.Function
	stack    [2]uint64
	features feature  // enabled while it started: they hold for every exchange
	session  *session // that it works for; nil while it starts or is idle

	names   nameCache
	host    [1]exchange.Field // room for the authority as a field
	address [64]byte          // room for the source address as text
}

func (p *Policy) startGuest(ctx context.Context) (*guest, error) {
	g := &guest{policy: p, features: p.always}
	var err error
	g.instance, err = p.program.Start(ctx, wasm.InstanceConfig{
		MemoryBytes: int64(p.limits.Memory),
		CallTime:    p.limits.Time.D(),
		Log:         p.log,
		Guest:       g,
		Granted:     p.granted,
		Held:        &p.held,
		Ticks:       &p.ticks,
	})
	if err != nil {
		return nil, err
	}
	g.request = g.instance.Function(handleRequest)
	g.response = g.instance.Function(handleResponse)
	return g, nil
}

func (g *guest) stop() {
	if err := g.instance.Close(context.Background()); err != nil {
		g.policy.logger.Error("close instance", "error", err)
	}
}

// attach makes the guest work for a session, detach for none.
func (g *guest) attach(s *session, x *exchange.Exchange) {
	g.session = s
	g.instance.Call().Exchange = x
}

func (g *guest) detach() {
	g.session = nil
	g.host[0] = exchange.Field{}
	call := g.instance.Call()
	call.Leave(call.Exchange)
	call.Exchange = nil
}

// handleRequest returns whether the exchange goes on, and what the guest wants
// to be told with the response.
func (g *guest) handleRequest() (next bool, ctx uint32, err error) {
	g.stack[0] = 0
	err = g.instance.Invoke(g.request, g.stack[:1])
	return uint32(g.stack[0]) != 0, uint32(g.stack[0] >> 32), err
}

func (g *guest) handleResponse(ctx uint32, failed bool) error {
	g.stack[0], g.stack[1] = uint64(ctx), 0
	if failed {
		g.stack[1] = 1
	}
	return g.instance.Invoke(g.response, g.stack[:2])
}
