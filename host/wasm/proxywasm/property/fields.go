package property

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Fields are a message's fields, with the pseudo-header fields of HTTP/2 whatever
// the version. Those of one name are one, their values joined by commas.
type Fields struct {
	header  *exchange.Header
	request *exchange.Request // whose pseudo-header fields belong to them; nil: none
	status  int               // of a response; 0: none
}

// pseudo are the pseudo-header fields of a request.
var pseudo = []struct {
	name  string
	value func(r *exchange.Request) string
}{
	{":authority", func(r *exchange.Request) string { return r.Authority }},
	{":path", func(r *exchange.Request) string { return r.Target }},
	{":method", func(r *exchange.Request) string { return r.Method }},
	{":scheme", func(r *exchange.Request) string { return r.Scheme }},
}

// Get returns the value of a field by its name in any case.
func (f Fields) Get(name string) (string, bool) {
	if f.request != nil {
		if exchange.EqualFold(name, "host") {
			name = ":authority"
		}
		for _, p := range pseudo {
			if exchange.EqualFold(name, p.name) {
				return p.value(f.request), true
			}
		}
	}
	if f.status != 0 && exchange.EqualFold(name, ":status") {
		return strconv.Itoa(f.status), true
	}
	first, ok := f.header.Get(name)
	if !ok {
		return "", false
	}
	var buf [4]string
	if all := f.header.AppendValues(buf[:0], name); len(all) > 1 {
		return strings.Join(all, ","), true
	}
	return first, true
}

// Pairs returns all fields by names in lower case, the pseudo-header fields first.
func (f Fields) Pairs() []exchange.Field {
	var pairs []exchange.Field
	if f.request != nil {
		for _, p := range pseudo {
			pairs = append(pairs, exchange.Field{Name: p.name, Value: p.value(f.request)})
		}
	}
	if f.status != 0 {
		pairs = append(pairs, exchange.Field{Name: ":status", Value: strconv.Itoa(f.status)})
	}
	start := len(pairs)
	for _, field := range f.header.Fields() {
		name := strings.ToLower(field.Name)
		i := slices.IndexFunc(pairs[start:], func(p exchange.Field) bool { return p.Name == name })
		if i < 0 {
			pairs = append(pairs, exchange.Field{Name: name, Value: field.Value})
			continue
		}
		pairs[start+i].Value += "," + field.Value
	}
	return pairs
}

// size returns the bytes of all names and values.
func (f Fields) size() int64 {
	n := 0
	if f.request != nil {
		for _, p := range pseudo {
			n += len(p.name) + len(p.value(f.request))
		}
	}
	if f.status != 0 {
		n += len(":status200")
	}
	for _, field := range f.header.Fields() {
		n += len(field.Name) + len(field.Value)
	}
	return int64(n)
}
