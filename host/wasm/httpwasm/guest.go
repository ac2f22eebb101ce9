package httpwasm

import (
	"context"
	"errors"

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

// startGuest makes a guest: a clone if there is an image and the system has room
// for one.
func (p *Policy) startGuest(ctx context.Context) (*guest, error) {
	g := &guest{policy: p, features: p.always}
	config := wasm.InstanceConfig{
		MemoryBytes: int64(p.limits.Memory),
		CallTime:    p.limits.Time.D(),
		Log:         p.log,
		Guest:       g,
		Granted:     p.granted,
		Held:        &p.held,
		Ticks:       &p.ticks,
	}
	var (
		err   error
		fault *wasm.Fault
	)
	if p.image != nil {
		g.features = p.features
		g.instance, err = p.image.Clone(ctx, config)
	}
	if p.image == nil || err != nil && !errors.As(err, &fault) {
		g.features = p.always
		g.instance, err = p.program.Start(ctx, config)
	}
	if err != nil {
		return nil, err
	}
	g.request = g.instance.Function(handleRequest)
	g.response = g.instance.Function(handleResponse)
	return g, nil
}

// begin starts the first guest, as a proof that it starts. If that has an image,
// it makes room for its first clone.
func (p *Policy) begin(ctx context.Context) error {
	first, err := p.startGuest(ctx)
	if err != nil {
		return err
	}
	image, err := first.snapshot()
	if err != nil {
		p.plain = err.Error()
		p.logger.Info("guests start one by one", "reason", err)
		p.pool.Add(first)
		return nil
	}
	p.image, p.features = image, first.features
	first.stop()
	clone, err := p.startGuest(ctx)
	if err != nil {
		return errors.Join(err, image.Close(ctx))
	}
	p.pool.Add(clone)
	return nil
}

func (g *guest) snapshot() (*wasm.Image, error) {
	if err := g.policy.program.Clonable(g.policy.grants); err != nil {
		return nil, err
	}
	return g.instance.Snapshot()
}

func (g *guest) stop() {
	if err := g.instance.Close(context.Background()); err != nil {
		g.policy.logger.Error("close instance", "error", err)
	}
}

// attach makes the guest work for a session, detach for none.
func (g *guest) attach(s *session, x *exchange.Exchange) {
	g.session = s
	call := g.instance.Call()
	call.Exchange, call.Visit = x, s
}

func (g *guest) detach() {
	g.session = nil
	g.host[0] = exchange.Field{}
	call := g.instance.Call()
	call.Leave(call.Exchange)
	call.Exchange, call.Visit = nil, nil
}

// serveAgain reports whether the guest can serve another exchange. If each one is
// to have its own, it has then forgotten what it did.
func (g *guest) serveAgain() bool {
	if g.policy.isolated {
		return g.instance.Reset()
	}
	return !g.instance.Spent()
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
