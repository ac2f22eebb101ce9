package wasm

import "sync"

// Held adds up the linear memory of instances. The zero value is ready for use,
// from any number of goroutines.
type Held struct {
	mu       sync.Mutex
	memories map[*memory]struct{}
	images   int64
}

// Load returns how many bytes of the system's memory the instances hold that
// share it: of each the pages that are its own, and what their images take up.
// On a system that does not tell, and for memory on Go's heap, it is all that the
// guests have, touched or not. It takes some 10 us for an instance.
func (h *Held) Load() int64 {
	h.mu.Lock()
	sum := h.images
	memories := make([]*memory, 0, len(h.memories))
	for m := range h.memories {
		memories = append(memories, m)
	}
	h.mu.Unlock()
	for _, m := range memories {
		sum += m.resident()
	}
	return sum
}

func (m *memory) resident() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room == nil || m.pages == nil {
		return int64(len(m.bytes))
	}
	sum := int64(0)
	if m.pages.own(m.bytes, func(int) { sum += int64(m.pages.page) }) != nil {
		return int64(len(m.bytes))
	}
	return sum
}

func (h *Held) add(m *memory) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.memories == nil {
		h.memories = make(map[*memory]struct{})
	}
	h.memories[m] = struct{}{}
}

func (h *Held) remove(m *memory) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.memories, m)
}

func (h *Held) addImage(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.images += bytes
}
