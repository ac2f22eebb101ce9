package foreign

import (
	"encoding/binary"
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// variables are the properties at hand, looked up when an expression needs them.
type variables struct{ source *property.Source }

var _ cel.Activation = variables{}

// Parent follows cel.Activation.
func (variables) Parent() cel.Activation { return nil }

// ResolveName follows cel.Activation.
func (v variables) ResolveName(name string) (any, bool) {
	if property.IsGroup(name) {
		return group{noKeys, name + "\x00", v.source}, true
	}
	value, ok := property.Find(name, v.source)
	if !ok {
		return nil, false
	}
	return valueOf(value), true
}

// noKeys is what maps are that tell what they have only if asked for it.
var noKeys = types.NewStringStringMap(types.DefaultTypeAdapter, nil)

// group is a map of properties. As in Envoy it has no size, and nothing to walk
// over.
type group struct {
	traits.Mapper
	prefix string
	source *property.Source
}

// Find follows traits.Mapper.
func (g group) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok || strings.IndexByte(string(name), 0) >= 0 {
		return nil, false
	}
	value, ok := property.Find(g.prefix+string(name), g.source)
	if !ok {
		return nil, false
	}
	return valueOf(value), true
}

// Get follows traits.Indexer.
func (g group) Get(key ref.Val) ref.Val { return get(g, key) }

// Contains follows traits.Container.
func (g group) Contains(key ref.Val) ref.Val { return contains(g, key) }

// headers is a map of fields, looked up in any case.
type headers struct {
	traits.Mapper
	fields property.Fields
}

// Find follows traits.Mapper.
func (h headers) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	value, ok := h.fields.Get(string(name))
	return types.String(value), ok
}

// Get follows traits.Indexer.
func (h headers) Get(key ref.Val) ref.Val { return get(h, key) }

// Contains follows traits.Container.
func (h headers) Contains(key ref.Val) ref.Val { return contains(h, key) }

func get(m traits.Mapper, key ref.Val) ref.Val {
	if value, ok := m.Find(key); ok {
		return value
	}
	return types.NewErr("no such key: %v", key)
}

func contains(m traits.Mapper, key ref.Val) ref.Val {
	_, ok := m.Find(key)
	return types.Bool(ok)
}

// valueOf is a property as expressions have it.
func valueOf(v property.Value) ref.Val {
	switch n := v.Number(); v.Kind() {
	case property.Text:
		return types.String(v.String())
	case property.Bytes:
		return types.Bytes(v.String())
	case property.Int:
		return types.Int(n)
	case property.Uint:
		return types.Uint(n)
	case property.Bool:
		return types.Bool(n != 0)
	case property.Time:
		return types.Timestamp{Time: time.Unix(0, n)}
	case property.Duration:
		return types.Duration{Duration: time.Duration(n)}
	}
	all := make(map[string]string)
	for _, p := range v.Fields().Pairs() {
		all[p.Name] = p.Value
	}
	return headers{types.NewStringStringMap(types.DefaultTypeAdapter, all), v.Fields()}
}

// encoder renders the values of expressions as properties. An expression can make
// a value of few parts that are in it very often, so what is rendered is bounded.
type encoder struct{ left int }

// encode reports false of a value that no property can be, or that is too large.
func (e *encoder) encode(v ref.Val) ([]byte, bool) {
	b, ok := e.render(v)
	e.left -= 1 + len(b)
	return b, ok && e.left >= 0
}

func (e *encoder) render(v ref.Val) (b []byte, ok bool) {
	switch v := v.(type) {
	case types.String:
		return []byte(v), true
	case types.Bytes:
		return v, true
	case types.Int:
		return number(uint64(v)), true
	case types.Uint:
		return number(uint64(v)), true
	case types.Double:
		return number(math.Float64bits(float64(v))), true
	case types.Bool:
		if v {
			return []byte{1}, true
		}
		return []byte{0}, true
	case types.Timestamp:
		return number(uint64(v.UnixNano())), true
	case types.Duration:
		return number(uint64(v.Nanoseconds())), true
	case traits.Mapper:
		return e.pairs(v.Iterator(), v)
	case traits.Lister:
		return e.pairs(v.Iterator(), nil)
	}
	return nil, false
}

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

// pairs renders what i walks over: names, with their values if there is a map.
func (e *encoder) pairs(i traits.Iterator, m traits.Mapper) ([]byte, bool) {
	var pairs []exchange.Field
	for i.HasNext() == types.True {
		next := i.Next()
		name, ok := e.encode(next)
		if !ok {
			return nil, false
		}
		pair := exchange.Field{Name: string(name)}
		if m != nil {
			value, ok := e.encode(m.Get(next))
			if !ok {
				return nil, false
			}
			pair.Value = string(value)
		}
		pairs = append(pairs, pair)
	}
	return property.AppendPairs(nil, pairs), true
}
