package wasm

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// memory is the linear memory of one instance, bounded. wazero's own bound is
// per runtime, and does not tell that it refused.
type memory struct {
	limit   uint64
	refused bool // since the instance was made
	bytes   []byte
	held    *atomic.Int64 // of all instances of a pool
}

// Allocate follows experimental.MemoryAllocator. What a module asks for at
// least was compared with the limit when it was compiled.
func (m *memory) Allocate(capacity, _ uint64) experimental.LinearMemory {
	m.bytes = make([]byte, 0, min(capacity, m.limit))
	return m
}

// Reallocate follows experimental.LinearMemory: nil refuses.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	m.held.Add(int64(size) - int64(len(m.bytes)))
	if size <= uint64(cap(m.bytes)) {
		m.bytes = m.bytes[:size]
	} else {
		m.bytes = append(m.bytes, make([]byte, size-uint64(len(m.bytes)))...)
	}
	return m.bytes
}

// Free follows experimental.LinearMemory.
func (m *memory) Free() {
	m.held.Add(-int64(len(m.bytes)))
	m.bytes = nil
}
