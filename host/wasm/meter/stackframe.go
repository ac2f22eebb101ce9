package meter

// stackFrame bounds what a function's frame takes of the stack. wazero gives each
// value that does not stay in a register a place of its own there, and so does it
// with what a local may be where ways join. What is found is many times what most
// functions take: it is there for those that were written to take much.
type stackFrame struct {
	space    *space
	locals   uint64 // with parameters
	values   uint64
	outgoing uint64 // most values that go to and come from a function that is called
	vectors  bool   // a value may be of 16 bytes, not 8
	blocks   []openBlock
}

// openBlock is a block that was not closed yet.
type openBlock struct {
	loop bool
	sets uint64 // of locals, in there
}

// ownBytes is what each frame has: return addresses, registers that are saved.
const ownBytes = 192

func (f *stackFrame) begin(s *space, function, locals uint64) {
	own := s.shapeOf(function)
	f.space = s
	f.locals = locals + uint64(own.params)
	f.values, f.outgoing, f.vectors = f.locals, uint64(own.results), false
	f.blocks = append(f.blocks[:0], openBlock{})
}

func (f *stackFrame) bytes() uint64 {
	width := uint64(8)
	if f.vectors {
		width = 16
	}
	return ownBytes + width*(f.values+f.outgoing)
}

func (f *stackFrame) add(i instruction) {
	switch op := i.opcode; {
	case op == opBlock, op == opLoop, op == opIf:
		f.blocks = append(f.blocks, openBlock{loop: op == opLoop})
		f.values += uint64(i.shape.params) + uint64(i.shape.results)
	case op == opEnd:
		f.close()
	case op == opCall:
		f.call(f.space.shapeOf(i.index))
	case op == opCallIndirect:
		f.call(i.shape)
	case op == opLocalSet, op == opLocalTee:
		f.blocks[len(f.blocks)-1].sets++
	case op == opVector:
		f.values++
		f.vectors = true
	case op <= opReturn, op == opDrop, op == opLocalGet, op == opGlobalSet,
		op >= opI32Store && op <= opI64Store32: // they make no value
	default:
		f.values++
	}
}

func (f *stackFrame) call(s shape) {
	f.values += uint64(s.results)
	f.outgoing = max(f.outgoing, uint64(s.params)+uint64(s.results))
}

// close counts the locals that are set in a block, which are joined at its end; in a
// loop where it begins, and in the one that is added around it.
func (f *stackFrame) close() {
	last := len(f.blocks) - 1
	if last == 0 {
		return // it is the function's end
	}
	block := f.blocks[last]
	joined := min(block.sets, f.locals)
	if block.loop {
		joined *= 2
	}
	f.values += joined
	f.blocks = f.blocks[:last]
	f.blocks[last-1].sets += block.sets
}
