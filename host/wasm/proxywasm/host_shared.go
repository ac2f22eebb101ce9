package proxywasm

import (
	"errors"

	"github.com/ergoproxy/ergo/host/state"
	"github.com/ergoproxy/ergo/host/wasm"
)

// sharedFunctions are those for what the instances of a policy share: key-value
// data and queues. It outlives swaps.
func sharedFunctions() []wasm.HostFunction {
	return []wasm.HostFunction{
		function("proxy_get_shared_data", "iiiii", getSharedData),
		function("proxy_set_shared_data", "iiiii", setSharedData),
		function("proxy_register_shared_queue", "iii", registerQueue),
		function("proxy_resolve_shared_queue", "iiiii", resolveQueue),
		function("proxy_enqueue_shared_queue", "iii", enqueue),
		function("proxy_dequeue_shared_queue", "iii", dequeue),
	}
}

// maxKeyBytes bounds the name of a value or queue.
const maxKeyBytes = 64 << 10

// sharedStatus is what an error of the shared state is to a guest.
func sharedStatus(err error) status {
	switch {
	case err == nil:
		return statusOK
	case errors.Is(err, state.ErrCAS):
		return statusCASMismatch
	case errors.Is(err, state.ErrNoQueue):
		return statusNotFound
	case errors.Is(err, state.ErrEmpty):
		return statusEmpty
	}
	return statusInternal // it is full
}

func getSharedData(c *call) status {
	key, ok := c.text(0)
	if !ok {
		return statusInvalidMemory
	}
	value, cas, ok := c.vm.fleet.granted.Shared.Get(key)
	if !ok {
		return statusNotFound
	}
	if st := c.give(2, value); st != statusOK {
		return st
	}
	return c.putU32(4, cas)
}

func setSharedData(c *call) status {
	key, keyOK := c.text(0)
	value, valueOK := c.bytes(2)
	switch {
	case !keyOK || !valueOK:
		return statusInvalidMemory
	case len(key) > maxKeyBytes:
		return statusBadArgument
	}
	return sharedStatus(c.vm.fleet.granted.Shared.Set(key, value, c.arg(4)))
}

// registerQueue has the policy's root contexts told of what comes into a queue: the
// one of the vm that has time.
func registerQueue(c *call) status {
	name, ok := c.text(0)
	switch {
	case !ok:
		return statusInvalidMemory
	case len(name) > maxKeyBytes:
		return statusBadArgument
	}
	id, err := c.vm.fleet.register(name)
	if err != nil {
		return sharedStatus(err)
	}
	return c.putU32(2, id)
}

// resolveQueue finds a queue by name. Queues are those of the policy: there is no
// other vm_id to find one under than its own, which is the policy's name or empty.
func resolveQueue(c *call) status {
	owner, ownerOK := c.text(0)
	name, nameOK := c.text(2)
	if !ownerOK || !nameOK {
		return statusInvalidMemory
	}
	if owner != "" && owner != c.vm.fleet.name {
		return statusNotFound
	}
	id, ok := c.vm.fleet.granted.Shared.Resolve(name)
	if !ok {
		return statusNotFound
	}
	return c.putU32(4, id)
}

func enqueue(c *call) status {
	data, ok := c.bytes(1)
	if !ok {
		return statusInvalidMemory
	}
	return sharedStatus(c.vm.fleet.granted.Shared.Enqueue(c.arg(0), data))
}

func dequeue(c *call) status {
	data, err := c.vm.fleet.granted.Shared.Dequeue(c.arg(0))
	if err != nil {
		return sharedStatus(err)
	}
	return c.give(1, data)
}
