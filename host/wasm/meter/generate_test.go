package meter

import (
	"encoding/binary"
	"math/rand/v2"
)

// generator makes valid modules by chance: functions of one type, (i32, i32) ->
// i32, that nest blocks, loops and calls, branch to anywhere, with several values
// too, use memory, vectors, a table and globals, and trap now and then. A global
// that counts down ends what would not end by itself.
type generator struct {
	*rand.Rand
	code   []byte
	depths []int // of labels: how many values a branch takes there
	room   int   // instructions to go
	total  int   // functions
}

// Indices in a generated module.
const (
	genFuel     = 0 // global
	genValue    = 1
	genImported = 1 // functions of the host: (i32) -> (i32)
	genLocals   = 4
	genOneToTwo = 2 // type: (i32) -> (i32, i32)
)

func generate(seed uint64) []byte {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), total: 0}
	g.total = 1 + g.IntN(6)
	count := string(binary.AppendUvarint(nil, uint64(g.total)))
	var elements, types, exports []byte
	for i := range g.total {
		types = append(types, 0)
		elements = append(elements, byte(genImported+i))
		exports = append(append(exports, 1, 'a'+byte(i), kindFunction), byte(genImported+i))
	}
	exports = append(exports, 1, 'm', kindMemory, 0, 1, 'v', kindGlobal, genValue)
	bodies := binary.AppendUvarint(nil, uint64(g.total))
	for range g.total {
		bodies = appendSized(bodies, g.function())
	}
	return moduleOf(
		section(sectionType, "\x03\x60\x02\x7f\x7f\x01\x7f"+typeCount+"\x60\x01\x7f\x02\x7f\x7f"),
		section(sectionImport, "\x01\x04test\x03add\x00\x01"),
		section(sectionFunction, count+string(types)),
		section(sectionTable, "\x01\x70\x01\x08\x10"),
		section(sectionMemory, "\x01\x01\x01\x03"),
		section(sectionGlobal, "\x02\x7f\x01\x41\xd0\x0f\x0b\x7f\x01\x41\x05\x0b"),
		section(sectionExport, string(binary.AppendUvarint(nil, uint64(g.total+2)))+string(exports)),
		section(sectionElement, "\x02\x00\x41\x00\x0b"+count+string(elements)+"\x01\x00"+count+string(elements)),
		section(sectionDataCount, "\x01"),
		section(sectionCode, string(bodies)),
		section(sectionData, "\x01\x01\x05hello"),
		section(sectionCustom, "\x04name\x01\x04\x01\x01\x01a"))
}

func (g *generator) function() []byte {
	g.code = []byte{1, genLocals - 2, 0x7f}
	g.depths = []int{1}
	g.room = 10 + g.IntN(300)
	if g.IntN(4) == 0 {
		g.room = 5 // a leaf, often
	}
	for g.room > 0 {
		g.statement()
	}
	g.expression(3)
	return append(g.code, opEnd)
}

func (g *generator) emit(bytes ...byte) {
	g.code = append(g.code, bytes...)
	g.room--
}

func (g *generator) constant() {
	n := int32(g.Uint32() >> g.IntN(32))
	if g.IntN(3) == 0 {
		n = -n
	}
	g.code = appendI32(append(g.code, opI32Const), n)
	g.room--
}

// statement leaves the stack as it is.
func (g *generator) statement() {
	switch g.IntN(14) {
	case 0, 1:
		g.expression(3)
		g.emit(0x21, byte(g.IntN(genLocals))) // local.set
	case 2:
		g.address()
		g.expression(2)
		g.emit(0x36, 2, byte(g.IntN(100))) // i32.store
	case 3:
		g.expression(2)
		g.emit(opGlobalSet, genValue)
	case 4, 5:
		g.block(opBlock, g.IntN(8))
	case 6:
		g.expression(2)
		g.block(opIf, g.IntN(6))
	case 7, 8:
		g.loop()
	case 9:
		g.branch()
	case 10:
		g.sized()
	case 11:
		g.expression(3)
		g.emit(opDrop)
	case 12:
		g.expression(1)
		g.emit(opMemoryGrow, 0, opDrop)
	case 13:
		g.unlikely()
	}
}

// block is a block or an if, of statements.
func (g *generator) block(opcode byte, statements int) {
	g.emit(opcode, noResult)
	g.depths = append(g.depths, 0)
	g.statements(statements)
	if opcode == opIf && g.IntN(2) == 0 {
		g.emit(opElse)
		g.statements(g.IntN(4))
	}
	g.close()
}

func (g *generator) statements(n int) {
	for ; n > 0 && g.room > 0; n-- {
		g.statement()
	}
}

func (g *generator) close() {
	g.emit(opEnd)
	g.depths = g.depths[:len(g.depths)-1]
}

// loop goes round while there is fuel.
func (g *generator) loop() {
	g.emit(opLoop, noResult)
	g.depths = append(g.depths, 0)
	g.burn()
	g.statements(g.IntN(6))
	g.expression(2)
	g.emit(opBrIf, 0)
	g.close()
}

// burn uses up fuel, and traps without.
func (g *generator) burn() {
	g.emit(opGlobalGet, genFuel, opI32Const, 1, opI32Sub, opGlobalSet, genFuel)
	g.emit(opGlobalGet, genFuel, opI32Const, 0, opI32LtS, opIf, noResult, opUnreachable, opEnd)
}

// branch leaves some blocks, maybe.
func (g *generator) branch() {
	if g.IntN(3) == 0 {
		g.table()
		return
	}
	depth := g.IntN(len(g.depths))
	values := g.depths[len(g.depths)-1-depth]
	g.expressions(values)
	g.expression(2)
	if g.IntN(2) == 0 {
		g.emit(opBrIf, byte(depth))
	} else {
		g.emit(opIf, noResult) // so that what follows is not dead
		g.expressions(values)
		g.burn() // it may lead back to a loop
		g.emit(opBr, byte(depth+1), opEnd)
	}
	for range values {
		g.emit(opDrop)
	}
}

func (g *generator) expressions(n int) {
	for range n {
		g.expression(1)
	}
}

// table is a br_table within blocks of its own.
func (g *generator) table() {
	n := 1 + g.IntN(4)
	for range n {
		g.emit(opBlock, noResult)
		g.depths = append(g.depths, 0)
	}
	g.expression(2)
	g.emit(opBrTable, byte(n-1))
	for range n {
		g.emit(byte(g.IntN(n)))
	}
	for range n {
		g.close()
		g.statements(g.IntN(3))
	}
}

// sized moves some memory or some of the table.
func (g *generator) sized() {
	switch g.IntN(5) {
	case 0:
		g.address()
		g.expression(1)
		g.smallSize()
		g.emit(opMisc, 11, 0) // memory.fill
	case 1:
		g.address()
		g.address()
		g.smallSize()
		g.emit(opMisc, 10, 0, 0) // memory.copy
	case 2:
		g.address()
		g.emit(opI32Const, 0, opI32Const, byte(g.IntN(7)))
		g.emit(opMisc, 8, 0, 0) // memory.init
	case 3:
		g.emit(opI32Const, byte(g.IntN(9)), opI32Const, 0, opI32Const, byte(g.IntN(3)))
		g.emit(opMisc, 12, 1, 0) // table.init
	case 4:
		g.emit(opI32Const, byte(g.IntN(16)), opRefFunc, byte(genImported+g.IntN(g.total)), opI32Const, byte(g.IntN(3)))
		g.emit(opMisc, 17, 0) // table.fill
	}
}

func (g *generator) smallSize() {
	g.expression(1)
	g.code = appendI32(append(g.code, opI32Const), 0x3fff)
	g.emit(0x71) // and
}

// address is mostly within memory.
func (g *generator) address() {
	g.expression(1)
	if g.IntN(20) > 0 {
		g.code = appendI32(append(g.code, opI32Const), 0x7fff)
		g.emit(0x71)
	}
}

func (g *generator) unlikely() {
	g.expression(2)
	g.code = appendI32(append(g.code, opI32Const), 77)
	g.emit(0x46, opIf, noResult) // i32.eq
	if g.IntN(2) == 0 {
		g.emit(opUnreachable)
	} else {
		g.expression(1)
		g.emit(opReturn)
	}
	g.emit(opEnd)
}

// expression leaves an i32.
func (g *generator) expression(depth int) {
	if depth == 0 || g.room <= 0 {
		if g.IntN(2) == 0 {
			g.constant()
		} else {
			g.emit(opLocalGet, byte(g.IntN(genLocals)))
		}
		return
	}
	switch g.IntN(13) {
	case 0, 1:
		g.expression(depth - 1)
		g.expression(depth - 1)
		g.emit([]byte{0x6a, 0x6b, 0x6c, 0x6d, 0x71, 0x72, 0x73, 0x74, 0x4a, 0x46}[g.IntN(10)])
	case 2:
		g.address()
		g.emit(0x28, 2, byte(g.IntN(100))) // i32.load
	case 3:
		g.emit(opGlobalGet, genValue)
	case 4:
		g.expression(depth - 1)
		g.emit(0x22, byte(g.IntN(genLocals))) // local.tee
	case 5:
		g.callFunction(depth)
	case 6:
		g.expression(depth - 1)
		g.emit(opIf, 0x7f)
		g.depths = append(g.depths, 1)
		g.expression(depth - 1)
		g.emit(opElse)
		g.expression(depth - 1)
		g.close()
	case 7:
		g.emit(opBlock, 0x7f)
		g.depths = append(g.depths, 1)
		g.expression(depth - 1)
		g.expression(depth - 1)
		g.emit(opBrIf, 0)
		g.close()
	case 8:
		g.vector(depth)
	case 9:
		g.expression(depth - 1)
		g.emit(0xac, 0x42, byte(g.IntN(64)), 0x7e, 0xa7) // i64.extend, i64.const, i64.mul, i32.wrap
	case 10:
		g.expression(depth - 1)
		g.emit(0xb7, 0x9f, opMisc, 2) // f64.convert, f64.sqrt, i32.trunc_sat
	case 11:
		g.twoValues(depth)
	default:
		g.expression(0)
	}
}

// vector works on vectors and takes a lane.
func (g *generator) vector(depth int) {
	g.expression(depth - 1)
	g.emit(opVector, 17) // i32x4.splat
	if g.IntN(2) == 0 {
		g.expression(depth - 1)
		g.emit(opVector, 17)
	} else {
		g.address()
		g.emit(opVector, 0, 4, byte(g.IntN(100))) // v128.load
	}
	op := []uint64{174, 177, 181, 78, 80, 81}[g.IntN(6)] // i32x4.add, sub, mul, v128.and, or, xor
	g.code = binary.AppendUvarint(append(g.code, opVector), op)
	g.emit(opVector, 27, byte(g.IntN(4))) // i32x4.extract_lane
}

// twoValues is a block or a loop that takes one value and gives two.
func (g *generator) twoValues(depth int) {
	g.expression(depth - 1)
	if g.IntN(2) == 0 {
		g.emit(opBlock, genOneToTwo)
		g.depths = append(g.depths, 2)
		g.statements(g.IntN(4))
	} else {
		g.emit(opLoop, genOneToTwo)
		g.depths = append(g.depths, 1)
		g.burn()
		g.expression(1)
		g.emit(opBrIf, 0)
	}
	g.expression(depth - 1)
	g.close()
	g.emit(0x73) // xor
}

func (g *generator) callFunction(depth int) {
	switch g.IntN(4) {
	case 0:
		g.expression(depth - 1)
		g.emit(opCall, 0) // the host's
	case 1:
		g.burn()
		g.expression(depth - 1)
		g.expression(depth - 1)
		g.expression(0)
		g.emit(opI32Const, 7, 0x71, opCallIndirect, 0, 0)
	default:
		g.burn()
		g.expression(depth - 1)
		g.expression(depth - 1)
		g.emit(opCall, byte(genImported+g.IntN(g.total)))
	}
}
