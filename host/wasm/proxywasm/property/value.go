package property

import (
	"encoding/binary"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Kind is the type of a value.
type Kind uint8

// Kinds of values, as CEL has them.
const (
	Text Kind = iota
	Bytes
	Int
	Uint
	Bool
	Time
	Duration
	Map
)

// Value is a property's. It is text of the exchange, and valid until that changes.
type Value struct {
	kind   Kind
	text   string
	number int64 // of all kinds but those of text and Map; of Uint its bits
	fields Fields
}

func textOf(s string) Value                 { return Value{kind: Text, text: s} }
func intOf(n int64) Value                   { return Value{kind: Int, number: n} }
func uintOf(n uint64) Value                 { return Value{kind: Uint, number: int64(n)} }
func timeOf(t time.Time) Value              { return Value{kind: Time, number: t.UnixNano()} }
func durationOf(length time.Duration) Value { return Value{kind: Duration, number: int64(length)} }
func mapOf(f Fields) Value                  { return Value{kind: Map, fields: f} }

func boolOf(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.number = 1
	}
	return v
}

// Kind returns the type of the value.
func (v Value) Kind() Kind { return v.kind }

// String returns the text of a value of kind Text or Bytes.
func (v Value) String() string { return v.text }

// Number returns the value of the other kinds: Bool is 0 or 1, Uint its bits, Time
// nanoseconds since 1970, Duration nanoseconds.
func (v Value) Number() int64 { return v.number }

// Fields returns the value of kind Map.
func (v Value) Fields() Fields { return v.fields }

// Append appends the value as guests get it to dst.
func (v Value) Append(dst []byte) []byte {
	switch v.kind {
	case Text, Bytes:
		return append(dst, v.text...)
	case Bool:
		return append(dst, byte(v.number))
	case Map:
		return AppendPairs(dst, v.fields.Pairs())
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v.number))
}

// field returns the value of one field.
func (v Value) field(name string) (Value, bool) {
	if v.kind != Map {
		return Value{}, false
	}
	text, ok := v.fields.Get(name)
	return textOf(text), ok
}

// AppendPairs appends pairs in the form in which proxy-wasm has maps: their number,
// the lengths of each name and value, and then all of these, each followed by a NUL.
// Numbers are 4 bytes, little endian.
func AppendPairs(dst []byte, pairs []exchange.Field) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(pairs)))
	for _, p := range pairs {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.Name)))
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(p.Value)))
	}
	for _, p := range pairs {
		dst = append(append(dst, p.Name...), 0)
		dst = append(append(dst, p.Value...), 0)
	}
	return dst
}
