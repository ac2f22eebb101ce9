package cache

import (
	"strings"
	"time"
	"unsafe"

	"github.com/ergoproxy/ergo/host/exchange"
)

// What every store takes at most.
const (
	MaxKeyBytes  = 2 << 10
	MaxMetaBytes = 4 << 10
	MaxHeadBytes = 64 << 10 // of everything in a Head
	MaxTags      = 64
	MaxVariants  = 64 // under one key
)

// Head is what is stored of a response beside its body.
type Head struct {
	Status int
	Fields []exchange.Field
	Meta   []byte // what the policy remembers of it, at most MaxMetaBytes
	// Variant tells the responses under one key from each other: a response replaces
	// the one of the same variant.
	Variant string
	Tags    []string // by which it can be purged; at most MaxTags, none empty
	// Size is that of the body if it is known, else 0 or less. It is a hint.
	Size int64
}

func (h *Head) bytes() int {
	n := len(h.Meta) + len(h.Variant)
	for _, f := range h.Fields {
		n += len(f.Name) + len(f.Value)
	}
	for _, t := range h.Tags {
		n += len(t)
	}
	return n
}

func (h *Head) sound() bool {
	if h.Status < 100 || h.Status > 999 || len(h.Meta) > MaxMetaBytes || len(h.Tags) > MaxTags {
		return false
	}
	for _, t := range h.Tags {
		if t == "" {
			return false
		}
	}
	return h.bytes()+len(h.Fields)*fieldBytes <= MaxHeadBytes
}

// Entry is a stored response. It is never written to, whoever holds it.
type Entry struct {
	Status  int
	Header  exchange.Header // read only
	Trailer []exchange.Field
	Meta    []byte
	Variant string
	Tags    []string
	Size    int64     // of the body
	Stored  time.Time // or updated
	Purged  bool      // softly: it is there, and to be validated before it is used

	item *item
}

// item is what all heads share that an entry has had: its place in the store.
type item struct {
	space *Space
	key   string
	body  body

	// Store.mu guards these.
	current  *Entry // nil: removed
	head     int64  // bytes that its head counts
	inMemory int64  // and those that its body does
	saving   bool   // its body is to be written to disk: it stays in memory until then
	record   int64  // bytes of its record in the index on disk
	memory   node
	disk     node
}

func newItem(sp *Space, key string, size int64) *item {
	it := &item{space: sp, key: key}
	it.body.size = size
	it.body.refs.Store(1)
	return it
}

const (
	fieldBytes = int(unsafe.Sizeof(exchange.Field{})) + 1 // and the id of its name
	// itemBytes is what an entry takes beside its text: an item, an Entry, the list
	// of the variants under its key, the body's slice, its share of a map that is half
	// full, and what the allocator rounds up; measured by a test.
	itemBytes = int64(unsafe.Sizeof(item{})+unsafe.Sizeof(Entry{})) + 24 + 192
)

// newEntry makes a copy of h, all text of it in one piece. What h was made of
// may be written to then.
func newEntry(h *Head, now time.Time) *Entry {
	e := &Entry{Status: h.Status, Stored: now}
	var t text
	t.Grow(h.bytes())
	e.Variant = t.add(h.Variant)
	e.Header.Grow(len(h.Fields))
	for _, f := range h.Fields {
		e.Header.Add(t.add(f.Name), t.add(f.Value))
	}
	for _, tag := range h.Tags {
		e.Tags = append(e.Tags, t.add(tag))
	}
	e.Meta = append(e.Meta, h.Meta...)
	return e
}

func (e *Entry) addTrailer(fields []exchange.Field) {
	for _, f := range fields {
		e.Trailer = append(e.Trailer, exchange.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value)})
	}
}

func soundTrailer(fields []exchange.Field) bool {
	h := Head{Status: 200, Fields: fields}
	return h.sound()
}

// text is a string that others are parts of.
type text struct{ strings.Builder }

func (t *text) add(s string) string {
	begin := t.Len()
	t.WriteString(s)
	return t.String()[begin:]
}

// bytes are what e takes in memory without its body.
func (e *Entry) bytes(key string) int64 {
	n := itemBytes + int64(len(key)+len(e.Variant)+len(e.Meta))
	for _, list := range [][]exchange.Field{e.Header.Fields(), e.Trailer} {
		for _, f := range list {
			n += int64(len(f.Name) + len(f.Value) + fieldBytes)
		}
	}
	for _, t := range e.Tags {
		n += int64(len(t)) + int64(unsafe.Sizeof(t))
	}
	return n
}
