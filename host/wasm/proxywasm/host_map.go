package proxywasm

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// mapFunctions are those for header and trailer maps.
func mapFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function("proxy_get_header_map_size", "ii", getMapSize),
		function("proxy_get_header_map_pairs", "iii", getMapPairs),
		function("proxy_set_header_map_pairs", "iii", setMapPairs),
		function("proxy_get_header_map_value", "iiiii", getMapValue),
		function("proxy_add_header_map_value", "iiiii", addMapValue),
		function("proxy_replace_header_map_value", "iiiii", replaceMapValue),
		function("proxy_remove_header_map_value", "iii", removeMapValue),
	}
}

// fieldsOf returns the map of that kind that the guest's current context can read;
// ok is false if it is not there at this place.
func (v *vm) fieldsOf(kind uint32) (m fields, ok bool) {
	if kind >= mapGRPCInitialMetadata {
		return v.arrived.fieldsOf(kind)
	}
	s := v.current
	if s == nil {
		return fields{}, false
	}
	switch kind {
	case mapRequestHeaders:
		return s.requestHead()
	case mapRequestTrailers:
		d := &s.ways[request]
		return fields{header: &s.x.Request.Trailer, trailer: true, readOnly: d.at == atEnd}, d.at != shut && d.ended
	case mapResponseHeaders:
		at := s.ways[response].at
		m = s.headOf(response)
		m.readOnly = at == atEnd
		return m, at == atHead || at == atEnd
	case mapResponseTrailers:
		d := &s.ways[response]
		return fields{header: &s.x.Response.Trailer, trailer: true, readOnly: d.at == atEnd}, d.at != shut && d.ended
	}
	return fields{}, false
}

// headOf returns the head of a message as a map.
func (s *stream) headOf(way int) fields {
	if way == request {
		return fields{header: &s.x.Request.Header, request: &s.x.Request}
	}
	return fields{header: &s.x.Response.Header, response: &s.x.Response}
}

// requestHead can be changed until it goes on, and read while the response is at
// hand.
func (s *stream) requestHead() (m fields, ok bool) {
	m = s.headOf(request)
	m.readOnly = s.ways[request].at != atHead
	return m, !m.readOnly || s.ways[response].at != shut
}

// getMapSize tells the bytes of all names and values.
func getMapSize(c *call) status {
	m, ok := c.vm.fieldsOf(c.arg(0))
	if !ok {
		return statusBadArgument
	}
	return c.putU32(1, uint32(m.size()))
}

// getMapPairs gives a map as a whole, however large the listener lets it be: fields
// that a guest is not shown would be fields that it lets pass. One that is not there
// is empty.
func getMapPairs(c *call) status {
	m, ok := c.vm.fieldsOf(c.arg(0))
	if !ok {
		return c.give(1, nil)
	}
	v := c.vm
	pairs := m.append(v.pairs[:0])
	data := property.AppendPairs(v.takeScratch(), pairs)
	clear(pairs) // the text is the exchange's
	if cap(pairs) <= maxScratchPairs {
		v.pairs = pairs
	}
	defer v.keepScratch(data)
	return c.give(1, data)
}

// maxScratchPairs bounds what is kept for the next map.
const maxScratchPairs = 128

// setMapPairs replaces a map. What is too large or not sound is refused, where the
// reference host leaves an empty map: a guest that puts back most of what it was
// given would remove what others rely on.
func setMapPairs(c *call) status {
	data, ok := c.bytes(1)
	if !ok {
		return statusInvalidMemory
	}
	m, ok := c.vm.fieldsOf(c.arg(0))
	if !ok || m.readOnly {
		return c.vm.unchangeable()
	}
	list := parsePairs(data)
	if list == nil && !isNone(data) {
		return statusBadArgument
	}
	for i := range list {
		list[i].Name = strings.ToLower(list[i].Name)
	}
	if !m.replace(list) {
		return statusBadArgument
	}
	return statusOK
}

// unchangeable is the answer to a change of a map that can't be changed now.
func (v *vm) unchangeable() status {
	if v.lost {
		return statusOK
	}
	return statusBadArgument
}

// getMapValue gives the first value of a name, as Envoy does.
func getMapValue(c *call) status {
	name, ok := c.text(1)
	if !ok {
		return statusInvalidMemory
	}
	m, ok := c.vm.fieldsOf(c.arg(0))
	if !ok {
		return statusBadArgument
	}
	value, ok := m.get(name)
	switch {
	case ok:
		return c.giveText(3, value)
	case c.vm.fleet.old:
		return c.give(3, nil)
	}
	return statusNotFound
}

func addMapValue(c *call) status     { return c.change(false) }
func replaceMapValue(c *call) status { return c.change(true) }

// change adds a field to a map, or replaces one. Its text lives as long as the
// exchange, and longer.
func (c *call) change(replaces bool) status {
	name, nameOK := c.bytes(1)
	value, valueOK := c.bytes(3)
	if !nameOK || !valueOK {
		return statusInvalidMemory
	}
	m, ok := c.vm.fieldsOf(c.arg(0))
	if !ok || m.readOnly {
		return c.vm.unchangeable()
	}
	if len(name) > maxNameBytes || len(value) > maxPairBytes-m.size() {
		return statusBadArgument
	}
	field := exchange.Field{Name: strings.ToLower(c.of.String(name)), Value: c.of.String(value)}
	if m.len() >= maxPairs && !(replaces && m.header.Has(field.Name)) {
		return statusBadArgument
	}
	put := m.add
	if replaces {
		put = m.set
	}
	if !put(field.Name, field.Value) {
		return statusBadArgument
	}
	return statusOK
}

// maxNameBytes bounds a name that a guest sets.
const maxNameBytes = 8 << 10

func removeMapValue(c *call) status {
	name, ok := c.text(1)
	if !ok {
		return statusInvalidMemory
	}
	m, ok := c.vm.fieldsOf(c.arg(0))
	if !ok || m.readOnly {
		return c.vm.unchangeable()
	}
	m.remove(name)
	return statusOK
}
