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
func (s *Set) Close() {
	for _, e := range s.entries {
		d := e.item.space.store.disk
		if d == nil {
			break
		}
		e.item.body.release(d)
	}
	s.entries = nil
}

// Lookup returns what there is under key. It waits for nothing. The caller closes
// the Set.
func (sp *Space) Lookup(key string) Set {
	set := sp.look(key)
	if set.Len() == 0 {
		sp.store.counts.misses.Add(1)
	}
	return set
}

func (sp *Space) look(key string) Set {
	sh := sp.shard(key)
	sh.mu.RLock()
	entries := sh.entries[key]
	if sp.store.disk != nil {
		for _, e := range entries { // there as long as the lock is held
			e.item.body.refs.Add(1)
		}
	}
	sh.mu.RUnlock()
	return Set{entries: entries}
}

// has reports whether there is an entry of a variant under key.
func (sp *Space) has(key, variant string) bool {
	sh := sp.shard(key)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return slices.ContainsFunc(sh.entries[key], func(e *Entry) bool { return e.Variant == variant })
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
// makes room for it. Its body's bytes are counted already: in memory, or in the
// file f. Store.mu is held.
func (s *Store) insert(it *item, e *Entry, f *file) {
	it.current, e.item = e, it
	it.head = e.bytes(it.key)
	it.body.file.Store(f) // who finds the entry opens its body at once
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
	s.heads += it.head
	s.entries++
	it.memory.hash = maphash.String(sp.seed, it.key) ^ maphash.String(sp.seed, e.Variant)
	if f != nil {
		s.disk.add(it)
	}
	if f == nil && s.disk != nil && s.disk.enqueue(it) {
		return
	}
	s.toMemory(it)
	s.fit()
}

// toMemory queues an item whose body is in memory, and that may leave it. Store.mu
// is held.
func (s *Store) toMemory(it *item) {
	if it.body.data.Load() != nil {
		it.memory.item, it.memory.size = it, it.inMemory+it.head
		s.memory.add(&it.memory)
	}
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
	s.heads += more
	if s.disk != nil {
		s.disk.note(it)
	}
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
	s.held -= it.head
	s.heads -= it.head
	s.entries--
	if !it.saving { // then it is still being read
		s.held -= it.inMemory
	}
	if s.disk != nil {
		s.disk.forget(it)
	}
	it.body.release(s.disk)
}

// fit has bodies leave memory, or entries the store, until what is held is within
// its bound. The heads of what is on disk have three quarters of it. Store.mu is
// held.
func (s *Store) fit() {
	limit := s.options.MemoryBytes
	for s.held+s.ghostBytes() > limit {
		if s.heads > limit/4*3 && s.disk.evict() {
			continue
		}
		if n := s.memory.victim(); n != nil {
			s.counts.memoryEvictions.Add(1)
			s.leaveMemory(n.item)
		} else if !s.disk.evict() {
			return
		}
	}
}

// leaveMemory ends an item's stay in memory: with all of it if it has no file.
// Store.mu is held.
func (s *Store) leaveMemory(it *item) {
	if it.body.file.Load() == nil {
		s.remove(it)
		return
	}
	it.body.data.Store(nil)
	s.held -= it.inMemory
	it.inMemory = 0
}

func (s *Store) ghostBytes() int64 {
	n := s.memory.ghosts.bytes()
	if s.disk != nil {
		n += s.disk.queue.ghosts.bytes()
	}
	return n
}

// Update gives an entry a new head, as a 304 response does that was asked for at that
// moment, and returns the entry with it; the body and the trailer stay. If the entry is
// not in the store any more, that of the result is not either; it can be opened as long
// as the Set that e is from is not closed.
func (sp *Space) Update(e *Entry, h Head, asked Moment) (*Entry, error) {
	if !h.sound() {
		return nil, ErrArgument
	}
	s := sp.store
	h.Variant = e.Variant
	fresh := newEntry(&h, s.options.Now())
	fresh.Trailer, fresh.Size, fresh.item = e.Trailer, e.Size, e.item
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.item.current != nil {
		// What is marked since stays so: the 304 may be from before.
		gone, soft := s.purges.since(asked.purges, sp, e.item.key, fresh)
		fresh.Purged = gone || soft
		s.replace(e.item, fresh)
		e.item.offer(fresh, asked.place)
	}
	return fresh, nil
}
