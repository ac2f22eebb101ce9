package proxywasm

import (
	"testing"

	"github.com/ergoproxy/ergo/host/exchange"
)

// FuzzHost calls any function of the host with anything, in the head and in the
// bodies of an exchange. Nothing of it may break the host.
func FuzzHost(f *testing.F) {
	functions := Host().Functions
	for i := range functions {
		f.Add(uint8(i), uint32(0), uint32(passedAt), uint32(4), uint32(resultAt), uint32(resultAt+4), []byte("name"))
		f.Add(uint8(i), uint32(passedAt), uint32(1<<32-1), uint32(1<<31), uint32(8), uint32(0), []byte{1, 0, 0, 0, 1})
	}
	type input struct {
		function uint8
		args     [5]uint32
		text     []byte
	}
	var now input
	attack := func(g *guest, _ []uint32) uint32 {
		g.mod.Memory().Write(passedAt, now.text)
		fn := functions[int(now.function)%len(functions)]
		if fn.Name == "abort" || fn.Name == "proxy_set_tick_period_milliseconds" {
			return 0
		}
		args := make([]any, len(fn.Params))
		for i := range args {
			args[i] = now.args[i%len(now.args)]
			if fn.Params[i] == 0x7e {
				args[i] = int64(now.args[i%len(now.args)])
			}
		}
		g.call(fn.Name, args...)
		return 0
	}
	p := load(f, script{"request_headers": attack, "request_body": attack, "response_headers": attack, "response_body": attack, "log": attack})
	f.Fuzz(func(t *testing.T, function uint8, a, b, c, d, e uint32, text []byte) {
		now = input{function, [5]uint32{a, b, c, d, e}, text[:min(len(text), 1<<10)]}
		x := withBody(newExchange("POST", "/", exchange.Field{Name: "a", Value: "b"}), "one", "two")
		carry(p, x, "three")
		for _, m := range []*exchange.Header{&x.Request.Header, &x.Response.Header} {
			for _, field := range m.Fields() {
				if !exchange.ValidName(field.Name) || !exchange.ValidValue(field.Value) {
					t.Fatalf("field %q: %q", field.Name, field.Value)
				}
			}
		}
	})
}
