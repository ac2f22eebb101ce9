package cache

import (
	"strings"
	"sync/atomic"
)

// Kind is how a Selector selects.
type Kind uint8

// The kinds.
const (
	Exact  Kind = iota // the entries under the key Text
	Prefix             // those under all keys that begin with Text
	Tag                // those that have the tag Text
)

// Selector says what to purge.
type Selector struct {
	Kind Kind
	Text string
}

// Sound reports whether it is within its bounds.
func (sel *Selector) Sound() bool {
	return sel.Kind <= Tag && len(sel.Text) <= MaxKeyBytes && (sel.Text != "" || sel.Kind == Prefix)
}

// Matches reports whether it selects an entry that is under key.
func (sel *Selector) Matches(key string, e *Entry) bool {
	switch sel.Kind {
	case Exact:
		return key == sel.Text
	case Prefix:
		return strings.HasPrefix(key, sel.Text)
	}
	for _, t := range e.Tags {
		if t == sel.Text {
			return true
		}
	}
	return false
}

// Purge is a purge of what is in the Space of that name.
type Purge struct {
	Selector
	Space string
	Soft  bool
}

// Purge removes the entries that sel selects, or marks them if it is soft, and
// returns how many they are. A response that was asked for before is dropped or marked
// when it is whole: what is there after Purge was asked for after it, also when the
// process or the machine ends at once. A prefix or a tag looks at all entries of the space.
//
// Peers are told first. If they can't be it returns ErrUntold; it has purged here then.
func (sp *Space) Purge(sel Selector, soft bool) (n int, err error) {
	return sp.PurgeWithin(nil, sel, soft)
}

// PurgeWithin is Purge for an exchange that stores, after it, what it asked for at that
// moment: that stays, unless somebody else purges meanwhile.
func (sp *Space) PurgeWithin(asked *Moment, sel Selector, soft bool) (n int, err error) {
	if !sel.Sound() {
		return 0, ErrArgument
	}
	sp.store.counts.purges.Add(1)
	if peers := sp.store.peers; peers != nil {
		var done func()
		done, err = peers.Tell(Purge{Selector: sel, Space: sp.name, Soft: soft})
		defer done()
	}
	return sp.purge(asked, sel, soft), err
}

// purge does what PurgeWithin does, here.
func (sp *Space) purge(asked *Moment, sel Selector, soft bool) (n int) {
	s := sp.store
	// First the log, then the entries: a Writer that comes between is caught by one.
	s.mu.Lock()
	if asked != nil && asked.purges == s.purges.last.Load() {
		asked.purges++
	}
	s.purges.add(&purge{space: sp, Selector: sel, soft: soft})
	s.mu.Unlock()
	for _, it := range sp.find(&sel) {
		s.mu.Lock()
		if it.current != nil {
			n += s.purge(it, soft)
		}
		s.mu.Unlock()
	}
	s.counts.purged.Add(uint64(n))
	if s.disk != nil {
		s.disk.tidy(true)
	}
	return n
}

// purge removes or marks one entry, and returns how many that are. Store.mu is
// held.
func (s *Store) purge(it *item, soft bool) int {
	if !soft {
		s.remove(it)
		return 1
	}
	if it.current.Purged {
		return 0
	}
	marked := *it.current
	marked.Purged = true
	s.replace(it, &marked)
	return 1
}

// find returns the items that sel selects.
func (sp *Space) find(sel *Selector) []*item {
	var found []*item
	if sel.Kind == Exact {
		sh := sp.shard(sel.Text)
		sh.mu.RLock()
		defer sh.mu.RUnlock()
		for _, e := range sh.entries[sel.Text] {
			found = append(found, e.item)
		}
		return found
	}
	for i := range sp.shards {
		sh := &sp.shards[i]
		sh.mu.RLock()
		for key, list := range sh.entries {
			for _, e := range list {
				if sel.Matches(key, e) {
					found = append(found, e.item)
				}
			}
		}
		sh.mu.RUnlock()
	}
	return found
}

// purge is one call of Purge.
type purge struct {
	Selector
	space *Space
	soft  bool
}

// Moment is when a response was asked for: no purge since then misses what it says.
type Moment struct {
	purges uint64 // the last one
	place  string // of Peers
}

// Now returns the moment. What is looked up after it may be renewed by what is asked for
// at it.
func (sp *Space) Now() Moment {
	m := Moment{purges: sp.store.purges.last.Load()}
	if sp.store.peers != nil {
		m.place = sp.store.peers.Place()
	}
	return m
}

// purgeLog remembers the last purges for the responses that were asked for before.
// Store.mu guards it, but for reading the last number.
type purgeLog struct {
	last atomic.Uint64 // the number of the last one; the first is 1
	ring [maxPurges]*purge
}

// maxPurges is how many a response may be behind: with more it is not stored.
const maxPurges = 4096

func (l *purgeLog) add(p *purge) {
	l.ring[(l.last.Load()+1)%maxPurges] = p
	l.last.Add(1)
}

// since says what the purges after the given one do to an entry. If one of them
// may be forgotten, it counts as one that removes.
func (l *purgeLog) since(n uint64, sp *Space, key string, e *Entry) (gone, soft bool) {
	last := l.last.Load()
	if last-n > maxPurges {
		return true, false
	}
	for n++; n <= last; n++ {
		p := l.ring[n%maxPurges]
		if p.space == sp && p.Matches(key, e) {
			gone = gone || !p.soft
			soft = true
		}
	}
	return gone, soft
}
