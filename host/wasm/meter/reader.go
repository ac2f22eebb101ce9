package meter

import (
	"encoding/binary"
	"fmt"
)

// reader walks over a module's bytes. After the first error every method does
// nothing and returns nothing.
type reader struct {
	bytes []byte
	at    int
	err   error
	space *space // what indices may refer to

	targets []uint64 // depths of the br_table that was read last
}

// space is how many things of a kind a module has, imported ones included. What
// the meter adds comes behind: an index that is not of the module must not become
// valid by that, or a guest could reach its own counter.
type space struct {
	types, functions, globals uint64

	shapes []shape  // of types
	typeOf []uint32 // by function
}

// shape is how many values a type takes and gives.
type shape struct{ params, results uint32 }

// shapeOf returns the shape of a function's type.
func (s *space) shapeOf(function uint64) shape {
	if function >= uint64(len(s.typeOf)) {
		return shape{}
	}
	return s.shapes[s.typeOf[function]]
}

func (r *reader) more() bool { return r.err == nil && r.at < len(r.bytes) }

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w at its byte %d", errNotUnderstood, r.at)
	}
}

func (r *reader) take(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.bytes)-r.at {
		r.fail()
		return nil
	}
	r.at += n
	return r.bytes[r.at-n : r.at]
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// u32 reads an unsigned number of LEB128.
func (r *reader) u32() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.bytes[r.at:])
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.fail()
		return 0
	}
	r.at += n
	return v
}

// index reads one of n things.
func (r *reader) index(what string, n uint64) uint64 {
	v := r.u32()
	if v >= n && r.err == nil {
		r.err = fmt.Errorf("%w: there is no %s %d", errNotUnderstood, what, v)
	}
	return v
}

func (r *reader) functionIndex() uint64 { return r.index("function", r.space.functions) }

func (r *reader) globalIndex() uint64 { return r.index("global", r.space.globals) }

func (r *reader) typeIndex() uint64 { return r.index("type", r.space.types) }

// typeShape reads the index of a type.
func (r *reader) typeShape() shape {
	i := r.typeIndex()
	if r.err != nil || i >= uint64(len(r.space.shapes)) {
		return shape{}
	}
	return r.space.shapes[i]
}

// blockType reads the type of a block: one that is negative stands for itself.
func (r *reader) blockType() shape {
	start := r.at
	r.skipLEB()
	if r.err != nil || r.bytes[r.at-1]&0x40 != 0 {
		return shape{results: 1}
	}
	r.at = start
	return r.typeShape()
}

// skipLEB passes over a number of any width and sign.
func (r *reader) skipLEB() {
	for r.byte() >= 0x80 {
	}
}

// count reads how many things follow. Each takes a byte at least.
func (r *reader) count() int {
	n := r.u32()
	if n > uint64(len(r.bytes)-r.at) {
		r.fail()
		return 0
	}
	return int(n)
}

// end returns the first error; that not all was read is one.
func (r *reader) end() error {
	if r.at < len(r.bytes) {
		r.fail()
	}
	return r.err
}

func (r *reader) name() { r.take(r.count()) }

func (r *reader) nameMap() {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		r.u32()
		r.name()
	}
}

func (r *reader) functionType() shape {
	if r.byte() != 0x60 {
		r.fail()
	}
	params, results := r.take(r.count()), r.take(r.count())
	return shape{uint32(len(params)), uint32(len(results))}
}

// Kinds of what a module imports and exports.
const (
	kindFunction = 0
	kindTable    = 1
	kindMemory   = 2
	kindGlobal   = 3
)

// importEntry returns the module and the kind of what is imported, and the type of
// a function.
func (r *reader) importEntry() (from string, kind byte, typeIndex uint32) {
	from = string(r.take(r.count()))
	r.name()
	kind = r.byte()
	switch kind {
	case kindFunction:
		typeIndex = uint32(r.typeIndex())
	case kindTable:
		r.byte()
		r.limits()
	case kindMemory:
		r.limits()
	case kindGlobal:
		r.take(2)
	default:
		r.fail()
	}
	return from, kind, typeIndex
}

func (r *reader) limits() {
	flags := r.byte()
	r.u32()
	if flags&1 != 0 {
		r.u32()
	}
}

func (r *reader) export() {
	r.name()
	switch r.byte() {
	case kindFunction:
		r.functionIndex()
	case kindGlobal:
		r.globalIndex()
	default:
		r.u32()
	}
}

// element reads an element segment.
func (r *reader) element() {
	flags := r.segment(r.expression)
	for n := r.count(); n > 0 && r.err == nil; n-- {
		if flags&4 != 0 {
			r.expression()
		} else {
			r.functionIndex()
		}
	}
}

// segment reads what comes before the elements of a segment; the flags say which
// parts that has.
func (r *reader) segment(expression func()) (flags uint64) {
	flags = r.u32()
	if flags > 7 {
		r.fail()
	}
	if flags&1 == 0 { // active
		if flags&2 != 0 {
			r.u32() // table
		}
		expression()
	}
	if flags&3 != 0 {
		r.byte() // kind or type
	}
	return flags
}

func (r *reader) global() {
	r.take(2)
	r.expression()
}

func (r *reader) data() {
	switch flags := r.u32(); flags {
	case 0:
		r.expression()
	case 1: // passive
	case 2:
		r.u32() // memory
		r.expression()
	default:
		r.fail()
	}
	r.take(r.count())
}

// expression reads a constant expression.
func (r *reader) expression() {
	for r.err == nil {
		switch op := r.byte(); op {
		case opEnd:
			return
		case opRefFunc:
			r.functionIndex()
		default:
			r.constant(op)
		}
	}
}

// constant reads the rest of an instruction that a constant expression may have,
// but for those that refer to functions.
func (r *reader) constant(op byte) {
	switch op {
	case opGlobalGet:
		r.globalIndex()
	case opI32Const, 0x42, 0xd0: // i64.const, ref.null
		r.skipLEB()
	case 0x43: // f32.const
		r.take(4)
	case 0x44: // f64.const
		r.take(8)
	case opVector: // v128.const
		r.u32()
		r.take(16)
	default:
		r.fail()
	}
}

// code reads a function: its locals are what can be many.
func (r *reader) code() {
	body := &reader{bytes: r.take(r.count()), space: r.space}
	body.locals()
	if r.err == nil {
		r.err = body.err
	}
}

// locals returns how many there are.
func (r *reader) locals() (sum uint64) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		sum += r.u32()
		r.byte()
	}
	if sum > maxLocals && r.err == nil {
		r.err = fmt.Errorf("a function with %d locals, at most %d are possible", sum, maxLocals)
	}
	return sum
}
