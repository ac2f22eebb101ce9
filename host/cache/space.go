package cache

import (
	"hash/maphash"
	"slices"
	"sync"
)

// shards are the parts of a Space that are locked by themselves.
const shards = 32

// Space is what one policy has stored. Its keys are 1 to MaxKeyBytes long.
type Space struct {
	store  *Store
	name   string
	seed   maphash.Seed
	shards [shards]shard
}

// shard is a part of the keys. Its lists are never written to: a lookup may hold
// them.
type shard struct {
	mu      sync.RWMutex
	entries map[string][]*Entry // newest first
}

func newSpace(s *Store, name string) *Space {
	sp := &Space{store: s, name: name, seed: maphash.MakeSeed()}
	for i := range sp.shards {
		sp.shards[i].entries = make(map[string][]*Entry)
	}
	return sp
}

func (sp *Space) shard(key string) *shard {
	return &sp.shards[maphash.String(sp.seed, key)%shards]
}

func (sh *shard) get(key string) []*Entry {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.entries[key]
}

// Set is the entries under one key at one moment, newest first, at most
// MaxVariants. The zero value is empty.
type Set struct{ entries []*Entry }

// Len returns the number of entries.
func (s *Set) Len() int { return len(s.entries) }

// At returns entry i, 0 <= i < Len. It can be opened until the Set is closed, also
// when it was removed from the store meanwhile.
func (s *Set) At(i int) *Entry { return s.entries[i] }

// Close gives the entries back, and leaves the Set empty. What was opened stays
// open.
func (s *Set) Close() { s.entries = nil }

// Lookup returns what there is under key. It waits for nothing. The caller closes
// the Set.
func (sp *Space) Lookup(key string) Set {
	entries := sp.shard(key).get(key)
	if len(entries) == 0 {
		sp.store.counts.misses.Add(1)
	}
	return Set{entries: entries}
}

// change makes the list of a key what with returns; it is given the one that
// there is, not to be written to. Store.mu is held.
func (sp *Space) change(key string, with func([]*Entry) []*Entry) {
	sh := sp.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if entries := with(sh.entries[key]); len(entries) > 0 {
		sh.entries[key] = entries
	} else {
		delete(sh.entries, key)
	}
}

// without returns a list without one of its entries.
func without(list []*Entry, e *Entry) []*Entry {
	i := slices.Index(list, e)
	if i < 0 {
		return list
	}
	return slices.Concat(list[:i], list[i+1:])
}

// insert makes an entry visible, in the place of the one of its variant, and
// makes room for it. Its body's bytes are held already. Store.mu is held.
func (s *Store) insert(it *item, e *Entry) {
	it.current, e.item = e, it
	it.head = e.bytes(it.key)
	sp := it.space
	var gone []*Entry
	sp.change(it.key, func(list []*Entry) []*Entry {
		fresh := append(make([]*Entry, 0, len(list)+1), e)
		for _, old := range list {
			if old.Variant == e.Variant || len(fresh) == MaxVariants {
				gone = append(gone, old)
			} else {
				fresh = append(fresh, old)
			}
		}
		return fresh
	})
	for _, old := range gone {
		s.forget(old.item)
	}
	s.held += it.head
	s.entries++
	it.memory.item, it.memory.size = it, int64(cap(*it.body.data.Load()))+it.head
	it.memory.hash = maphash.String(sp.seed, it.key) ^ maphash.String(sp.seed, e.Variant)
	s.memory.add(&it.memory)
	s.fit()
}

// replace gives an item that is there a new head, in its place. Store.mu is held.
func (s *Store) replace(it *item, e *Entry) {
	before := it.current
	it.current, e.item = e, it
	it.space.change(it.key, func(list []*Entry) []*Entry {
		fresh := slices.Clone(list)
		fresh[slices.Index(fresh, before)] = e
		return fresh
	})
	more := e.bytes(it.key) - it.head
	it.head += more
	s.held += more
	if it.memory.in != nil {
		it.memory.in.bytes += more
	}
	it.memory.size += more
	s.fit()
}

// remove takes an item that is there out of the store. Store.mu is held.
func (s *Store) remove(it *item) {
	e := it.current
	it.space.change(it.key, func(list []*Entry) []*Entry { return without(list, e) })
	s.forget(it)
}

// forget ends what the store keeps of an item that no key leads to any more.
// Store.mu is held.
func (s *Store) forget(it *item) {
	it.current = nil
	s.memory.remove(&it.memory)
	s.held -= it.memory.size
	s.entries--
}

// fit removes entries until what is held is within its bound. Store.mu is held.
func (s *Store) fit() {
	for s.held+s.memory.ghosts.bytes() > s.options.MemoryBytes {
		n := s.memory.victim()
		if n == nil {
			return
		}
		s.counts.memoryEvictions.Add(1)
		s.remove(n.item)
	}
}

// Update gives an entry a new head, as a 304 response does, and returns the entry
// with it; the body and the trailer stay. If the entry is not in the store any
// more, that of the result is not either; it can be opened as long as the Set that
// e is from is not closed.
func (sp *Space) Update(e *Entry, h Head) (*Entry, error) {
	if !h.sound() {
		return nil, ErrArgument
	}
	s := sp.store
	h.Variant = e.Variant
	fresh := newEntry(&h, s.options.Now())
	fresh.Trailer, fresh.Size, fresh.item = e.Trailer, e.Size, e.item
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := e.item.current; now != nil {
		// What was marked after the lookup stays so: the 304 may be from before.
		fresh.Purged = now.Purged && !e.Purged
		s.replace(e.item, fresh)
	}
	return fresh, nil
}
