package proxywasm

import (
	"errors"

	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// propertyFunctions are those for what is known of the exchange and of the guest,
// and what guests call by name.
func propertyFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function(nameGetProperty, "iiii", getProperty),
		function(nameSetProperty, "iiii", setProperty),
		function(nameCallForeign, "iiiiii", callForeignFunction),
	}
}

const (
	nameGetProperty = "proxy_get_property"
	nameSetProperty = "proxy_set_property"
	nameCallForeign = "proxy_call_foreign_function"
)

func getProperty(c *call) status {
	path, ok := c.text(0)
	if !ok {
		return statusInvalidMemory
	}
	s := c.source()
	value, ok := property.Get(c.vm.takeScratch(), path, &s)
	if !ok {
		return statusNotFound
	}
	defer c.vm.keepScratch(value)
	return c.give(2, value)
}

// takeScratch returns memory for what is given to the guest, whose allocator may ask
// for something itself meanwhile; keepScratch puts it back, unless it is much.
func (v *vm) takeScratch() []byte {
	b := v.scratch
	v.scratch = nil
	return b[:0]
}

func (v *vm) keepScratch(b []byte) {
	if cap(b) <= maxScratch {
		v.scratch = b
	}
}

// maxScratch bounds what is kept for the next value.
const maxScratch = 4 << 10

func setProperty(c *call) status {
	path, pathOK := c.text(0)
	value, valueOK := c.bytes(2)
	if !pathOK || !valueOK {
		return statusInvalidMemory
	}
	s := c.source()
	switch err := property.Set(path, string(value), &s); {
	case errors.Is(err, property.ErrNoExchange) && c.vm.lost:
		return statusOK // nothing happens to a stream that has ended meanwhile
	case errors.Is(err, property.ErrNoExchange):
		return statusNotFound
	case err != nil:
		return statusBadArgument
	}
	c.heed(s.Asked)
	return statusOK
}

func callForeignFunction(c *call) status {
	name, nameOK := c.text(0)
	args, argsOK := c.bytes(2)
	if !nameOK || !argsOK {
		return statusInvalidMemory
	}
	s := c.source()
	result, st := c.vm.fleet.foreign.Call(name, args, &s)
	c.vm.instance.Call().Check() // it may have taken long
	if status(st) != statusOK {
		return status(st)
	}
	return c.give(4, result)
}

// source is what properties are read from where the guest is.
func (c *call) source() property.Source {
	v := c.vm
	source := property.Source{Plugin: &v.fleet.plugin, Memory: uint64(c.mem.Size())}
	if s := v.current; s != nil {
		source.Over = s.final
		if source.Exchange = s.reachable(); source.Exchange == nil && s.aside != nil && !s.over {
			source.Exchange = &s.aside.exchange
		}
	}
	return source
}

// heed does what a guest has asked of its host by properties. Of a body it holds
// what it asks for, within what the manifest allows.
func (c *call) heed(asked property.Asked) {
	s := c.vm.current
	if s == nil {
		return
	}
	for way, n := range [2]int64{asked.RequestBody, asked.ResponseBody} {
		if n > 0 {
			s.ways[way].asked = n
		}
	}
	if asked.Rebuild {
		c.vm.fleet.replace(c.vm)
	}
}
