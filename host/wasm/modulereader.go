package wasm

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

func (r *reader) nothing() {}

func (r *reader) name() { r.take(r.count()) }

func (r *reader) nameMap() {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		r.u32()
		r.name()
	}
}

func (r *reader) functionType() {
	if r.byte() != 0x60 {
		r.fail()
	}
	r.take(r.count())
	r.take(r.count())
}

const importFunction = 0

// importEntry returns the kind of what is imported.
func (r *reader) importEntry() (kind byte) {
	r.name()
	r.name()
	kind = r.byte()
	switch kind {
	case importFunction:
		r.u32()
	case 1: // table
		r.byte()
		r.limits()
	case 2: // memory
		r.limits()
	case 3: // global
		r.take(2)
	default:
		r.fail()
	}
	return kind
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
	r.byte()
	r.u32()
}

// element reads an element segment; its flags say which parts it has.
func (r *reader) element() {
	flags := r.u32()
	if flags > 7 {
		r.fail()
	}
	if flags&1 == 0 { // active
		if flags&2 != 0 {
			r.u32() // table
		}
		r.expression()
	}
	if flags&3 != 0 {
		r.byte() // kind or type
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		if flags&4 != 0 {
			r.expression()
		} else {
			r.u32()
		}
	}
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
		switch r.byte() {
		case 0x0b: // end
			return
		case 0x41, 0x42, 0x23, 0xd0, 0xd2: // i32.const, i64.const, global.get, ref.null, ref.func
			r.skipLEB()
		case 0x43: // f32.const
			r.take(4)
		case 0x44: // f64.const
			r.take(8)
		case 0xfd: // v128.const
			r.u32()
			r.take(16)
		default:
			r.fail()
		}
	}
}

// code reads a function: its locals are what can be many.
func (r *reader) code() {
	body := &reader{bytes: r.take(r.count())}
	body.locals()
	if r.err == nil {
		r.err = body.err
	}
}

func (r *reader) locals() {
	sum := uint64(0)
	for n := r.count(); n > 0 && r.err == nil; n-- {
		sum += r.u32()
		r.byte()
	}
	if sum > maxLocals && r.err == nil {
		r.err = fmt.Errorf("a function with %d locals, at most %d are possible", sum, maxLocals)
	}
}
