package exchange

import "slices"

// Field is one header or trailer field: its name as it was spelled, its value
// without surrounding white space.
type Field struct{ Name, Value string }

// Header is a list of fields in the order they stand in the message. Names
// keep their case and are looked up without it. The zero value is empty and
// ready for use. It is not safe for concurrent use.
type Header struct {
	fields  []Field
	ids     []Known // of the fields' names
	present names   // of all ids there are, and maybe of some that are gone
}

// Len returns the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns field i, 0 <= i < Len.
func (h *Header) At(i int) Field { return h.fields[i] }

// KnownAt returns the id of the name of field i.
func (h *Header) KnownAt(i int) Known { return h.ids[i] }

// Fields returns the fields in order. The slice is the header's own: it is
// valid until the next change and must not be written to.
func (h *Header) Fields() []Field { return h.fields }

// find returns the index of the first field of that name from start on, -1 if
// there is none.
func (h *Header) find(start int, id Known, name string) int {
	if !h.present.has(id) {
		return -1
	}
	for i := start; i < len(h.ids); i++ {
		if h.ids[i] == id && (id != Unknown || EqualFold(h.fields[i].Name, name)) {
			return i
		}
	}
	return -1
}

// Get returns the value of the first field of that name.
func (h *Header) Get(name string) (value string, ok bool) {
	if i := h.find(0, KnownName(name), name); i >= 0 {
		return h.fields[i].Value, true
	}
	return "", false
}

// GetKnown is Get for a name that has an id.
func (h *Header) GetKnown(id Known) (value string, ok bool) {
	if i := h.find(0, id, knownNames[id]); i >= 0 {
		return h.fields[i].Value, true
	}
	return "", false
}

// Value returns what Get returns, "" if there is none.
func (h *Header) Value(name string) string {
	v, _ := h.Get(name)
	return v
}

// Has reports whether there is a field of that name.
func (h *Header) Has(name string) bool { return h.find(0, KnownName(name), name) >= 0 }

// HasKnown is Has for a name that has an id.
func (h *Header) HasKnown(id Known) bool { return h.find(0, id, knownNames[id]) >= 0 }

// AppendValues appends the values of all fields of that name to dst, in order.
func (h *Header) AppendValues(dst []string, name string) []string {
	id := KnownName(name)
	for i := h.find(0, id, name); i >= 0; i = h.find(i+1, id, name) {
		dst = append(dst, h.fields[i].Value)
	}
	return dst
}

// Add appends a field.
func (h *Header) Add(name, value string) { h.AddKnown(KnownName(name), name, value) }

// AddKnown appends a field whose name was looked up before: id is
// KnownName(name).
func (h *Header) AddKnown(id Known, name, value string) {
	h.fields = append(h.fields, Field{name, value})
	h.ids = append(h.ids, id)
	h.present |= 1 << id
}

// Set leaves exactly one field of that name: in the place of the first one if
// there was any, else at the end.
func (h *Header) Set(name, value string) {
	id := KnownName(name)
	i := h.find(0, id, name)
	if i < 0 {
		h.AddKnown(id, name, value)
		return
	}
	h.fields[i].Value = value
	if h.find(i+1, id, name) >= 0 {
		h.deleteFrom(i+1, id, name)
	}
}

// Del removes all fields of that name.
func (h *Header) Del(name string) {
	id := KnownName(name)
	if h.find(0, id, name) >= 0 {
		h.deleteFrom(0, id, name)
	}
}

// DelKnown is Del for a name that has an id.
func (h *Header) DelKnown(id Known) { h.removeKnown(1 << id) }

func (h *Header) deleteFrom(start int, id Known, name string) {
	h.remove(start, func(i int) bool {
		return h.ids[i] == id && (id != Unknown || EqualFold(h.fields[i].Name, name))
	})
}

// remove removes the fields from start on for which unwanted holds. What it is
// asked for is still in its place then.
func (h *Header) remove(start int, unwanted func(i int) bool) {
	kept := start
	for i := start; i < len(h.fields); i++ {
		if !unwanted(i) {
			h.fields[kept], h.ids[kept] = h.fields[i], h.ids[i]
			kept++
		}
	}
	h.truncate(kept)
}

func (h *Header) truncate(n int) {
	clear(h.fields[n:])
	h.fields, h.ids = h.fields[:n], h.ids[:n]
}

// removeKnown removes all fields whose names are in the set.
func (h *Header) removeKnown(set names) {
	if h.present&set == 0 {
		return
	}
	kept := 0
	for i, id := range h.ids {
		if !set.has(id) {
			h.fields[kept], h.ids[kept] = h.fields[i], id
			kept++
		}
	}
	h.truncate(kept)
	h.present &^= set
}

// Grow makes room for n more fields without a further allocation.
func (h *Header) Grow(n int) {
	h.fields = slices.Grow(h.fields, n)
	h.ids = slices.Grow(h.ids, n)
}

// Reset removes all fields and keeps the memory.
func (h *Header) Reset() {
	if len(h.fields) > 0 {
		h.truncate(0)
	}
	h.present = 0
}

// CopyFrom makes h equal to o, in memory of its own.
func (h *Header) CopyFrom(o *Header) {
	h.fields = append(h.fields[:0], o.fields...)
	h.ids = append(h.ids[:0], o.ids...)
	h.present = o.present
}

// Size returns the bytes of the fields as HTTP/2 counts them: name, value and
// 32 for each (RFC 9113, 6.5.2).
func (h *Header) Size() int {
	n := 0
	for i := range h.fields {
		n += len(h.fields[i].Name) + len(h.fields[i].Value) + 32
	}
	return n
}

// EqualFold compares names and options: ASCII letters without case (RFC 9110, 5.1). Names
// that begin alike are common, so the end is looked at first.
func EqualFold(a, b string) bool {
	last := len(a) - 1
	if len(a) != len(b) || last >= 0 && lower(a[last]) != lower(b[last]) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
