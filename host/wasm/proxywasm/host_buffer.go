package proxywasm

import (
	"slices"

	"github.com/ergoproxy/ergo/host/wasm"
)

// bufferFunctions are those for bodies, configurations and what else comes as bytes.
func bufferFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function("proxy_get_buffer_bytes", "iiiii", getBufferBytes),
		function("proxy_set_buffer_bytes", "iiiii", setBufferBytes),
		function("proxy_get_buffer_status", "iii", getBufferStatus),
		function("proxy_get_configuration", "ii", getConfiguration),
	}
}

// bufferOf returns a buffer that the guest's current context can read, nil if it is
// not there at this place.
func (v *vm) bufferOf(kind uint32) *[]byte {
	switch kind {
	case bufferRequestBody, bufferResponseBody:
		if s := v.current; s != nil {
			return s.ways[kind].piece // directions are numbered as bodies are
		}
	case bufferCallResponseBody, bufferGRPCMessage:
		return v.arrived.bufferOf(kind)
	case bufferVMConfig:
		config := []byte(v.fleet.settings.VMConfig)
		return &config
	case bufferPluginConfig:
		return &v.fleet.config
	case bufferForeignArguments:
		if v.foreign != nil {
			return &v.foreign
		}
	}
	return nil
}

// getBufferBytes gives at most arg 2 bytes from arg 1 on. A start behind the end is
// no error: there is nothing.
func getBufferBytes(c *call) status {
	buffer := c.vm.bufferOf(c.arg(0))
	if buffer == nil {
		return statusNotFound
	}
	start, length, size := uint64(c.arg(1)), uint64(c.arg(2)), uint64(len(*buffer))
	if start+length > 1<<32-1 {
		return statusBadArgument
	}
	if start >= size {
		return c.give(3, nil)
	}
	return c.give(3, (*buffer)[start:min(start+length, size)])
}

// setBufferBytes replaces arg 2 bytes from arg 1 on, in words of Envoy: prepends
// with 0 and 0, appends with a start at or behind the end. It takes ranges in the
// middle too.
func setBufferBytes(c *call) status {
	kind := c.arg(0)
	data, ok := c.bytes(3)
	if !ok {
		return statusInvalidMemory
	}
	if kind > bufferResponseBody {
		return statusBadArgument
	}
	buffer := c.vm.bufferOf(kind)
	if buffer == nil {
		return statusNotFound
	}
	size := uint64(len(*buffer))
	start := min(uint64(c.arg(1)), size)
	end := min(start+uint64(c.arg(2)), size)
	if size-(end-start)+uint64(len(data)) > uint64(c.vm.current.mostHeld(int(kind)))+pieceBytes {
		return statusBadArgument
	}
	*buffer = slices.Replace(*buffer, int(start), int(end), data...)
	return statusOK
}

func getBufferStatus(c *call) status {
	buffer := c.vm.bufferOf(c.arg(0))
	if buffer == nil {
		return statusNotFound
	}
	if st := c.putU32(1, uint32(len(*buffer))); st != statusOK {
		return st
	}
	return c.putU32(2, 0)
}

// getConfiguration is how 0.1.0 reads what proxy_on_vm_start and proxy_on_configure
// are about.
func getConfiguration(c *call) status {
	kind := uint32(bufferPluginConfig)
	if c.vm.asking == onVMStart {
		kind = bufferVMConfig
	}
	return c.give(0, *c.vm.bufferOf(kind))
}
