package wasm

import "fmt"

// Opcodes that say where the code goes.
const (
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opMemoryGrow   = 0x40
	opMisc         = 0xfc
	opVector       = 0xfd
)

// instruction is what is of interest of one.
type instruction struct {
	opcode  byte
	index   uint64   // of a call, or the depth of a branch
	targets []uint64 // of br_table
	bulk    bool     // it moves memory, as much as it likes
}

// instruction reads the next one, of WebAssembly 2.0.
func (r *reader) instruction() instruction {
	i := instruction{opcode: r.byte()}
	switch op := i.opcode; {
	case op == opCall, op == opBr, op == opBrIf:
		i.index = r.u32()
	case op == opBrTable:
		for n := r.count() + 1; n > 0 && r.err == nil; n-- {
			i.targets = append(i.targets, r.u32())
		}
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b,
		op >= 0x45 && op <= 0xc4, op == 0xd1: // without immediates
	case op >= opBlock && op <= opIf, // type
		op >= 0x20 && op <= 0x26,           // variables and tables
		op == 0x3f, op == 0x41, op == 0x42, // memory.size, constants
		op == 0xd0, op == 0xd2: // references
		r.skipLEB()
	case op == opMemoryGrow:
		i.bulk = true
		r.skipLEB()
	case op == opCallIndirect, op >= 0x28 && op <= 0x3e: // loads and stores
		r.skipLEB()
		r.skipLEB()
	case op == 0x1c: // select with types
		r.take(r.count())
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op == opMisc:
		i.bulk = r.misc()
	case op == opVector:
		r.vector()
	default:
		r.unknown(uint64(op))
	}
	return i
}

func (r *reader) unknown(opcode uint64) {
	if r.err == nil {
		r.err = fmt.Errorf("instruction %#x is not of WebAssembly 2.0", opcode)
	}
}

// misc reads the rest of a conversion, which moves nothing, or of an instruction
// on memory or tables.
func (r *reader) misc() (bulk bool) {
	switch op := r.u32(); {
	case op <= 7: // conversions
		return false
	case op == 8, op == 10, op == 12, op == 14: // init and copy
		r.skipLEB()
		r.skipLEB()
	case op <= 17:
		r.skipLEB()
	default:
		r.unknown(op)
	}
	return true
}

func (r *reader) vector() {
	switch op := r.u32(); {
	case op <= 11, op == 92, op == 93: // loads and stores
		r.skipLEB()
		r.skipLEB()
	case op == 12, op == 13: // v128.const, i8x16.shuffle
		r.take(16)
	case op >= 21 && op <= 34: // lanes
		r.take(1)
	case op >= 84 && op <= 91: // loads and stores of a lane
		r.skipLEB()
		r.skipLEB()
		r.take(1)
	case op > 255:
		r.unknown(op)
	}
}
