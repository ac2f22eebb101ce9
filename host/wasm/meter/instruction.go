package meter

import "fmt"

// Opcodes that the meter looks at.
const (
	opUnreachable  = 0x00
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
	opDrop         = 0x1a
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opTableSet     = 0x26
	opI32Store     = 0x36
	opI64Store32   = 0x3e
	opMemorySize   = 0x3f
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opI32LtS       = 0x48
	opI32GtU       = 0x4b
	opI32LeU       = 0x4d
	opI64GtU       = 0x56
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opI64Add       = 0x7c
	opI64Shl       = 0x86
	opI64ExtendU   = 0xad // from i32
	opRefFunc      = 0xd2
	opMisc         = 0xfc
	opVector       = 0xfd

	noResult = 0x40 // type of a block
)

// instruction is what is of interest of one.
type instruction struct {
	opcode byte
	index  uint64 // of the function that is called or referred to, or a branch's depth
	sized  bool   // it moves as much as the operand on top says
	shape  shape  // of a block, or of what is called through a table
	reach  reach  // what else than memory it is about
}

// reach is what of an instance an instruction changes or depends on, beside what
// its host can read and write: memory and globals.
type reach uint8

const (
	ofTables   reach = 1 + iota // it changes one
	ofSegments                  // of data or elements
)

// instruction reads the next one, of WebAssembly 2.0: what wazero accepts by
// its default (api.CoreFeaturesV2).
func (r *reader) instruction() instruction {
	i := instruction{opcode: r.byte()}
	switch op := i.opcode; {
	case op == opCall, op == opRefFunc:
		i.index = r.functionIndex()
	case op == opBr, op == opBrIf:
		i.index = r.u32()
	case op == opGlobalGet, op == opGlobalSet:
		r.globalIndex()
	case op >= opBlock && op <= opIf:
		i.shape = r.blockType()
	case op == opCallIndirect:
		i.shape = r.typeShape()
		r.u32() // table
	case op == opBrTable:
		r.targets = r.targets[:0]
		for n := r.count() + 1; n > 0 && r.err == nil; n-- {
			r.targets = append(r.targets, r.u32())
		}
	case op <= 0x01, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b,
		op >= 0x45 && op <= 0xc4, op == 0xd1: // without immediates
	case op >= 0x20 && op <= 0x26, // variables and tables
		op == 0x3f, op == opI32Const, op == 0x42, // memory.size, constants
		op == opMemoryGrow, op == 0xd0: // ref.null
		r.skipLEB()
		if op == opTableSet {
			i.reach = ofTables
		}
	case op >= 0x28 && op <= 0x3e: // loads and stores
		r.skipLEB()
		r.skipLEB()
	case op == 0x1c: // select with types
		r.take(r.count())
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case op == opMisc:
		r.misc(&i)
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

// misc reads the rest of a conversion, or of an instruction on memory or tables.
func (r *reader) misc(i *instruction) {
	switch op := r.u32(); {
	case op <= 7: // conversions
	case op == 8, op == 12: // init
		r.skipLEB()
		r.skipLEB()
		i.sized, i.reach = true, ofSegments
	case op == 9, op == 13: // drop
		r.skipLEB()
		i.reach = ofSegments
	case op == 10, op == 14: // copy
		r.skipLEB()
		r.skipLEB()
		i.sized = true
		if op == 14 {
			i.reach = ofTables
		}
	case op == 11: // memory.fill
		r.skipLEB()
		i.sized = true
	case op == 15, op == 17: // table.grow, table.fill
		r.skipLEB()
		i.sized, i.reach = true, ofTables
	case op == 16: // table.size
		r.skipLEB()
	default:
		r.unknown(op)
	}
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
