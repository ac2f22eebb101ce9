package plugin

import (
	"bytes"
	"strings"
)

// Field is one field of a header.
type Field struct{ Name, Value string }

// Header is an ordered list of fields, with what the policy changes. Names are
// compared without regard to case.
type Header struct {
	fields  []Field
	added   []Field
	removed []string // before what was added
}

// Get returns the first value of a name, "" if there is none.
func (h *Header) Get(name string) string {
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values returns all values of a name, in order.
func (h *Header) Values(name string) []string {
	var values []string
	for _, f := range h.fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Fields returns all fields, which are not to be written to.
func (h *Header) Fields() []Field { return h.fields }

// Set makes value the only one of name.
func (h *Header) Set(name, value string) {
	h.drop(name)
	h.removed = append(h.removed, name)
	h.Add(name, value)
}

// Add adds a field at the end.
func (h *Header) Add(name, value string) {
	h.fields = append(h.fields, Field{name, value})
	h.added = append(h.added, Field{name, value})
}

// Del removes all fields of a name.
func (h *Header) Del(name string) {
	h.drop(name)
	h.removed = append(h.removed, name)
}

func (h *Header) drop(name string) {
	h.fields = without(h.fields, name)
	h.added = without(h.added, name)
}

func without(fields []Field, name string) []Field {
	kept := fields[:0]
	for _, f := range fields {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	return kept
}

// settle forgets the changes, which have been sent.
func (h *Header) settle() { h.added, h.removed = nil, nil }

// encode writes fields as they travel.
func encode(fields []Field) []byte {
	if len(fields) == 0 {
		return nil
	}
	var b bytes.Buffer
	for _, f := range fields {
		b.WriteString(f.Name)
		b.WriteByte(0)
		b.WriteString(f.Value)
		b.WriteByte(0)
	}
	return b.Bytes()
}

// decode reads fields as they travel.
func decode(packed []byte) []Field {
	rest := string(packed)
	fields := make([]Field, 0, strings.Count(rest, "\x00")/2)
	for rest != "" {
		var f Field
		f.Name, rest, _ = strings.Cut(rest, "\x00")
		f.Value, rest, _ = strings.Cut(rest, "\x00")
		fields = append(fields, f)
	}
	return fields
}
