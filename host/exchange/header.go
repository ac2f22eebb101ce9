package exchange

import "slices"

// Field is one header or trailer field: its name as it was spelled, its value
// without surrounding white space.
type Field struct{ Name, Value string }

// Header is a list of fields in the order they stand in the message. Names
// keep their case and are looked up without it. The zero value is empty and
// ready for use. It is not safe for concurrent use.
type Header struct{ fields []Field }

// Len returns the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns field i, 0 <= i < Len.
func (h *Header) At(i int) Field { return h.fields[i] }

// Fields returns the fields in order. The slice is the header's own: it is
// valid until the next change and must not be written to.
func (h *Header) Fields() []Field { return h.fields }

// Get returns the value of the first field of that name.
func (h *Header) Get(name string) (value string, ok bool) {
	for i := range h.fields {
		if equalFold(h.fields[i].Name, name) {
			return h.fields[i].Value, true
		}
	}
	return "", false
}

// Value returns what Get returns, "" if there is none.
func (h *Header) Value(name string) string {
	v, _ := h.Get(name)
	return v
}

// Has reports whether there is a field of that name.
func (h *Header) Has(name string) bool {
	_, ok := h.Get(name)
	return ok
}

// AppendValues appends the values of all fields of that name to dst, in order.
func (h *Header) AppendValues(dst []string, name string) []string {
	for i := range h.fields {
		if equalFold(h.fields[i].Name, name) {
			dst = append(dst, h.fields[i].Value)
		}
	}
	return dst
}

// Add appends a field.
func (h *Header) Add(name, value string) {
	h.fields = append(h.fields, Field{name, value})
}

// Set leaves exactly one field of that name: in the place of the first one if
// there was any, else at the end.
func (h *Header) Set(name, value string) {
	for i := range h.fields {
		if equalFold(h.fields[i].Name, name) {
			h.fields[i].Value = value
			h.deleteFrom(i+1, name)
			return
		}
	}
	h.Add(name, value)
}

// Del removes all fields of that name.
func (h *Header) Del(name string) { h.deleteFrom(0, name) }

func (h *Header) deleteFrom(start int, name string) {
	kept := start
	for i := start; i < len(h.fields); i++ {
		if !equalFold(h.fields[i].Name, name) {
			h.fields[kept] = h.fields[i]
			kept++
		}
	}
	clear(h.fields[kept:])
	h.fields = h.fields[:kept]
}

// Grow makes room for n more fields without a further allocation.
func (h *Header) Grow(n int) { h.fields = slices.Grow(h.fields, n) }

// Reset removes all fields and keeps the memory.
func (h *Header) Reset() {
	clear(h.fields)
	h.fields = h.fields[:0]
}

// CopyFrom makes h equal to o, in memory of its own.
func (h *Header) CopyFrom(o *Header) {
	h.fields = append(h.fields[:0], o.fields...)
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

// equalFold compares field names: ASCII letters without case (RFC 9110, 5.1).
func equalFold(a, b string) bool {
	if len(a) != len(b) {
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
