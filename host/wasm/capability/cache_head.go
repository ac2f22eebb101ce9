package capability

import (
	"cmp"
	"context"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Bounds on changes: of one call, and of all of a visit together.
const (
	maxChange  = 16 << 10
	maxChanges = 256 << 10
)

// getCacheRequest gives the whole of the request's head with one call, which is what a
// cache asks of it.
func getCacheRequest(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	r := &v.x.Request
	b := v.scratch[:0]
	if v.x.Repeated {
		b = append(b, '1')
	}
	for _, text := range [...]string{"", r.Method, r.Scheme, cmp.Or(r.Target, "/")} {
		b = append(append(b, text...), 0)
	}
	count := r.Header.Len()
	if r.Authority != "" {
		b = append(append(append(b, "host\x00"...), r.Authority...), 0)
		count++
	}
	stack[0] = v.giveFields(mod, stack, b, count, &r.Header)
}

// getCacheResponse gives the fields of the response at hand.
func getCacheResponse(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	h := v.fields()
	if h == nil {
		stack[0] = 0
		return
	}
	stack[0] = v.giveFields(mod, stack, v.scratch[:0], h.Len(), h)
}

// giveFields appends "name\0value\0" to b for each field, names in lower case, gives b to the
// guest, at room, and returns the count with the length.
func (v *cacheVisit) giveFields(mod api.Module, room []uint64, b []byte, count int, h *exchange.Header) uint64 {
	for _, f := range h.Fields() {
		b = append(appendLower(b, f.Name), 0)
		b = append(append(b, f.Value...), 0)
	}
	v.scratch = b
	return uint64(count)<<32 | give(mod, room[0], room[1], view(b))
}

func appendLower(b []byte, name string) []byte {
	for _, c := range []byte(name) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// fields are those of the response at hand; nil: there is none.
func (v *cacheVisit) fields() *exchange.Header {
	if v.x.Response.Status != 0 {
		return &v.x.Response.Header
	}
	return v.served
}

// change is one of a list: an operation, a name, NUL, a value, NUL.
type change struct {
	op          byte
	name, value string
}

// cutChange takes the first of a list off it.
func cutChange(list string) (c change, rest string, sound bool) {
	name, rest, named := strings.Cut(list[1:], "\x00")
	value, rest, ended := strings.Cut(rest, "\x00")
	c = change{op: list[0], name: name, value: strings.Trim(value, " \t")}
	sound = named && ended && exchange.ValidName(name) && exchange.ValidValue(c.value)
	return c, rest, sound && strings.IndexByte("=+-", c.op) >= 0
}

func amendCache(ctx context.Context, mod api.Module, stack []uint64) {
	v := cacheOf(ctx)
	list := read(mod, stack[0], stack[1])
	h := v.fields()
	if h == nil {
		stack[0] = tooLate
		return
	}
	for rest, sound := view(list), true; rest != ""; {
		if _, rest, sound = cutChange(rest); !sound {
			stack[0] = badArgument
			return
		}
	}
	if v.changed += len(list); len(list) > maxChange || v.changed > maxChanges {
		stack[0] = badArgument
		return
	}
	for rest := v.x.Arena.String(list); rest != ""; {
		var c change
		c, rest, _ = cutChange(rest)
		switch {
		case exchange.FramesMessage(c.name): // the host's own
		case c.op == '=':
			h.Set(c.name, c.value)
		case c.op == '+':
			h.Add(c.name, c.value)
		default:
			h.Del(c.name)
		}
	}
	stack[0] = ok
}
