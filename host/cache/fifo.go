package cache

import "sync/atomic"

// fifo says what leaves to make room: S3-FIFO (Yang and others, "FIFO queues are
// all you need for cache eviction", SOSP 2023), by bytes. What is new waits in a
// small queue; only what is used there, or comes back soon after it left, gets to
// the main one: so that a scan passes through and pushes nothing out that is in
// use. A use is one atomic addition; the queues move when there is no room.
//
// Store.mu guards it, except for use. The zero value is empty.
type fifo struct {
	small, main list
	ghosts      ghosts // of those that left the small queue
}

// node is an item's place in a fifo. The zero value is in none.
type node struct {
	item       *item
	in         *list
	prev, next *node
	size       int64
	hash       uint64
	uses       atomic.Uint32 // since it was last looked at; more than maxUses are no more
}

const (
	maxUses   = 3
	smallPart = 10 // the small queue has a tenth
)

// use counts a use.
func (n *node) use() {
	if n.uses.Load() < maxUses {
		n.uses.Add(1)
	}
}

func (f *fifo) len() int     { return f.small.n + f.main.n }
func (f *fifo) bytes() int64 { return f.small.bytes + f.main.bytes }

// add puts n, which is in no fifo, at a queue's end.
func (f *fifo) add(n *node) {
	if f.ghosts.take(n.hash) {
		f.main.push(n)
	} else {
		f.small.push(n)
	}
}

// remove takes n out, if it is in.
func (f *fifo) remove(n *node) {
	if n.in != nil {
		n.in.remove(n)
	}
}

// victim takes out what is to leave; nil: there is nothing.
func (f *fifo) victim() *node {
	for f.len() > 0 {
		if f.small.n > 0 && (f.main.n == 0 || f.small.bytes > f.bytes()/smallPart) {
			n := f.small.first()
			f.small.remove(n)
			if n.uses.Swap(0) == 0 {
				f.ghosts.add(n.hash, f.len())
				return n
			}
			f.main.push(n)
			continue
		}
		n := f.main.first()
		f.main.remove(n)
		uses := min(n.uses.Load(), maxUses)
		if uses == 0 {
			return n
		}
		n.uses.Store(uses - 1)
		f.main.push(n)
	}
	return nil
}

// list is a queue of nodes. The zero value is empty.
type list struct {
	head, tail *node
	n          int
	bytes      int64
}

func (l *list) first() *node { return l.head }

func (l *list) push(n *node) {
	n.in, n.prev, n.next = l, l.tail, nil
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next = n
	}
	l.tail = n
	l.n++
	l.bytes += n.size
}

func (l *list) remove(n *node) {
	if n.prev == nil {
		l.head = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.tail = n.prev
	} else {
		n.next.prev = n.prev
	}
	n.in, n.prev, n.next = nil, nil, nil
	l.n--
	l.bytes -= n.size
}

// ghosts remember who left, the last maxGhosts of them at most. The zero value
// remembers nobody.
type ghosts struct {
	order []uint64 // a ring
	next  int
	there map[uint64]int // where in order
}

const (
	maxGhosts  = 16 << 10
	ghostBytes = 48 // a place in the ring and one in a map that is half full
)

func (g *ghosts) bytes() int64 { return int64(len(g.order)) * ghostBytes }

// add remembers one more, and forgets the oldest if there are more than others
// still here, or than the bound.
func (g *ghosts) add(hash uint64, others int) {
	if g.there == nil {
		g.there = make(map[uint64]int)
	}
	limit := min(max(others, 64), maxGhosts)
	if len(g.order) < limit {
		g.order = append(g.order, hash)
		g.there[hash] = len(g.order) - 1
		return
	}
	g.next %= len(g.order)
	if old := g.order[g.next]; g.there[old] == g.next {
		delete(g.there, old)
	}
	g.order[g.next] = hash
	g.there[hash] = g.next
	g.next++
}

// take forgets one, and reports whether it was remembered.
func (g *ghosts) take(hash uint64) bool {
	_, there := g.there[hash]
	delete(g.there, hash)
	return there
}
