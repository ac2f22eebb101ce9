package wasm

import (
	"errors"
	"sync"

	"github.com/tetratelabs/wazero/experimental"
)

// memory is the linear memory of one instance, bounded. wazero's own bound is
// per runtime, and does not tell that it refused.
//
// It lies outside of Go's heap where the system has a way to map it, in room for
// all that it may become: it never moves, costs only what was touched, and does
// not count for the garbage collector. Elsewhere, and if there is no room, it is
// on the heap, and there are no images.
type memory struct {
	limit   uint64
	refused bool   // since the instance was made
	onHeap  bool   // even where it could be mapped
	image   *Image // what it begins as; nil: zeros
	err     error  // why it is on the heap
	held    *Held
	pages   *pageTable // nil: there is none

	mu    sync.Mutex // of what follows, against those who measure it
	bytes []byte     // what the guest has
	room  []byte     // mapped, for bytes to grow in; nil: they are on the heap
}

var errOnHeap = errors.New("Options.HeapMemory says so")

// Allocate follows experimental.MemoryAllocator. What a module asks for at
// least was compared with the limit when it was compiled.
func (m *memory) Allocate(capacity, most uint64) experimental.LinearMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.onHeap {
		m.err = errOnHeap
	} else {
		m.room, m.err = mapRoom(min(most, m.limit))
	}
	if m.room != nil {
		m.bytes = m.room[:0]
	} else {
		m.bytes = make([]byte, 0, min(capacity, m.limit))
	}
	m.held.add(m)
	return m
}

// Reallocate follows experimental.LinearMemory: nil refuses. The first one is for
// the least that the module asks for; a clone has all that its image has by then.
func (m *memory) Reallocate(size uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.image != nil && len(m.bytes) == 0 {
		m.become(size)
		return m.bytes
	}
	if size > m.limit || m.room != nil && openRoom(m.room[len(m.bytes):size]) != nil {
		m.refused = true
		return nil
	}
	if size > uint64(cap(m.bytes)) {
		m.bytes = append(m.bytes, make([]byte, size-uint64(len(m.bytes)))...)
	}
	m.bytes = m.bytes[:size]
	return m.bytes
}

// become makes the memory what its image is. If that fails, it is some memory of
// the least size, and err says why.
func (m *memory) become(least uint64) {
	if m.err == nil {
		m.err = m.image.mapInto(m.room)
	}
	if m.err != nil {
		m.unmap()
		m.bytes = make([]byte, least)
		return
	}
	m.bytes = m.room[:m.image.memory]
}

// Free follows experimental.LinearMemory. It may be called again.
func (m *memory) Free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held.remove(m)
	m.unmap()
	m.bytes = nil
}

func (m *memory) unmap() {
	if m.room != nil {
		unmapRoom(m.room)
		m.room = nil
	}
}

// recall makes the memory again what its image is: it copies back the pages that
// were written to, which costs less than to give them up and copy them when they
// are written to again. It reports false if it can't, for instance because the
// memory has grown since: it does not shrink.
func (m *memory) recall() bool {
	if m.image == nil || m.pages == nil || uint64(len(m.bytes)) != m.image.memory {
		return false
	}
	page := m.pages.page
	return m.pages.own(m.bytes, func(at int) { m.image.restore(m.bytes[at:at+page], at) }) == nil
}
