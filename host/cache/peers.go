package cache

import (
	"context"
	"strings"
)

// Peers are the stores of other hosts, for which the same policies store.
type Peers interface {
	// Place returns where in what they tell each other this host is; "" if it does not know
	// at the moment: then other hosts get nothing that is asked for now. It does not wait.
	Place() string
	// Offer gives them an entry that was asked for at a place. It does not wait.
	Offer(place string, c Copy)
	// Fetch returns what other hosts have stored under a key. It waits for that.
	Fetch(ctx context.Context, space, key string) []Copy
	// Tell tells them of a purge that is to be done here next; done is called when it
	// is. If it can't it returns ErrUntold, and done all the same.
	Tell(p Purge) (done func(), err error)
}

// Share has the store share what it stores, and purges. It is called before the first
// use of the store, and p is closed before it.
func (s *Store) Share(p Peers) { s.peers = p }

// offer hands an entry over if its body is in memory.
func (it *item) offer(e *Entry, place string) {
	if place == "" {
		return
	}
	if data := it.body.data.Load(); data != nil {
		it.space.store.peers.Offer(place, Copy{Space: it.space.name, Key: it.key, Entry: e, Body: *data})
	}
}

// Hear does a purge that another host has done. A response that is being stored
// meanwhile is treated as Space.Purge says.
func (s *Store) Hear(p Purge) {
	s.mu.Lock()
	sp := s.spaces[p.Space]
	s.mu.Unlock()
	if sp != nil {
		sp.purge(nil, p.Selector, p.Soft)
	}
}

// Drop removes all there is, and returns how many entries that were.
func (s *Store) Drop() (n int) {
	s.mu.Lock()
	spaces := make([]*Space, 0, len(s.spaces))
	for _, sp := range s.spaces {
		spaces = append(spaces, sp)
	}
	s.mu.Unlock()
	for _, sp := range spaces {
		n += sp.purge(nil, Selector{Kind: Prefix}, false)
	}
	return n
}

// Shared reports whether other hosts may have what is not here, and are told of
// purges, so that Fetch and Purge wait for them.
func (sp *Space) Shared() bool { return sp.store.peers != nil }

// Fetch returns what other hosts have stored under a key under which Lookup has
// found nothing, and keeps it. It waits as long as ctx lasts, or the peers' own
// bound; that they can't be asked is as good as nothing found. The caller closes the
// Set.
func (sp *Space) Fetch(ctx context.Context, key string) Set {
	s := sp.store
	if s.peers == nil || len(key) > MaxKeyBytes {
		return Set{}
	}
	asked := Moment{purges: s.purges.last.Load()} // other hosts have it already: no place
	found := false
	for _, c := range s.peers.Fetch(ctx, sp.name, key) {
		found = sp.adopt(c, asked) || found
	}
	if !found {
		return Set{}
	}
	return sp.look(key)
}

// adopt stores a copy here, unless something of its variant was stored meanwhile,
// and reports whether there is something then.
func (sp *Space) adopt(c Copy, asked Moment) bool {
	w := &Writer{space: sp, key: strings.Clone(c.Key), entry: c.Entry, asked: asked, limit: sp.store.options.EntryBytes, yields: true}
	defer w.Abort()
	if _, err := w.Write(c.Body); err != nil {
		return false
	}
	_, err := w.commit(nil)
	return err == nil
}
