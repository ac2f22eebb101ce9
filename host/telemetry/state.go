package telemetry

// StateState is what policies remember, in all.
type StateState struct {
	MemoryBytes, MemoryLimit int64
	Shared                   bool // there is a store that hosts share
	SharedDown               bool // and it is not being waited for
	Stores                   []StoreState
}

// StoreState is what one policy remembers in one kind of store.
type StoreState struct {
	Policy, Store string

	Keys, Bytes int64  // in this process
	Full        uint64 // refused: a bound was reached
	Unavailable uint64 // refused: the shared store was gone
}

var (
	storeLabels = []string{"policy", "store"}

	descStateMemory  = desc("state_memory_bytes", "What all policies remember in this process.")
	descStateLimit   = desc("state_memory_limit_bytes", "What they may, all together.")
	descStateDown    = desc("state_shared_down", "1 while the store that hosts share is not waited for, because it kept failing.")
	descStateKeys    = desc("state_keys", "Keys, and messages in queues, that a policy has in this process.", storeLabels...)
	descStateBytes   = desc("state_bytes", "What a policy remembers in this process.", storeLabels...)
	descStateRefused = desc("state_refused_total", "Operations refused because a bound was reached or the shared store gone.",
		append(storeLabels[:2:2], "reason")...)
)

func (e emitter) state(s *StateState) {
	e.gauge(descStateMemory, float64(s.MemoryBytes))
	e.gauge(descStateLimit, float64(s.MemoryLimit))
	if s.Shared {
		e.gauge(descStateDown, truth(s.SharedDown))
	}
	for i := range s.Stores {
		p := &s.Stores[i]
		e.gauge(descStateKeys, float64(p.Keys), p.Policy, p.Store)
		e.gauge(descStateBytes, float64(p.Bytes), p.Policy, p.Store)
		e.counter(descStateRefused, p.Full, p.Policy, p.Store, "full")
		e.counter(descStateRefused, p.Unavailable, p.Policy, p.Store, "unavailable")
	}
}
