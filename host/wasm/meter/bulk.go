package meter

import "encoding/binary"

// Instructions on memory that move it, behind opMisc.
const (
	miscCopy = 10
	miscFill = 11
)

// piece is how many bytes of memory a guest moves before it comes to the host: one
// instruction can move gigabytes, and would stop the collector all the while. It
// takes 10 to 100 us, by whether the memory was touched before.
const piece = 1 << 18

// bulkOf returns miscCopy or miscFill if that is what an instruction is, and valid;
// or else 0.
func bulkOf(code []byte) byte {
	if len(code) < 3 || code[0] != opMisc {
		return 0
	}
	op, n := binary.Uvarint(code[1:])
	rest := string(code[1+max(n, 0):])
	if op == miscFill && rest == "\x00" || op == miscCopy && rest == "\x00\x00" {
		return byte(op)
	}
	return 0
}

// Parameters of the functions that stand for memory.copy and memory.fill.
const (
	bulkTo   = 0
	bulkFrom = 1 // or what memory is filled with
	bulkSize = 2
)

// fillBody is a function that fills memory in pieces, each paid before. What does
// not fit into memory traps before anything is written, as ever.
func fillBody(p *parts) []byte {
	out := []byte{0} // no locals
	out = appendIfLarge(out)
	out = appendTrapOutside(out, miscFill, bulkTo)
	out = appendPieces(out, p, func(out []byte) []byte {
		out = append(out, opLocalGet, bulkTo, opLocalGet, bulkFrom)
		out = appendI32(append(out, opI32Const), piece)
		out = appendMove(out, miscFill)
		out = appendStep(out, bulkTo, opI32Add)
		return appendStep(out, bulkSize, opI32Sub)
	})
	out = append(out, opEnd)
	return append(appendRest(out, p, miscFill), opEnd)
}

// copyBody is a function that copies memory in pieces, from the end that does not
// overwrite what is still to be copied.
func copyBody(p *parts) []byte {
	out := []byte{0}
	out = appendIfLarge(out)
	out = appendTrapOutside(out, miscCopy, bulkTo, bulkFrom)
	out = append(out, opLocalGet, bulkTo, opLocalGet, bulkFrom, opI32LeU, opIf, noResult)
	out = appendPieces(out, p, func(out []byte) []byte {
		out = append(out, opLocalGet, bulkTo, opLocalGet, bulkFrom)
		out = appendI32(append(out, opI32Const), piece)
		out = appendMove(out, miscCopy)
		out = appendStep(out, bulkTo, opI32Add)
		out = appendStep(out, bulkFrom, opI32Add)
		return appendStep(out, bulkSize, opI32Sub)
	})
	out = append(out, opElse)
	out = appendPieces(out, p, func(out []byte) []byte {
		out = appendStep(out, bulkSize, opI32Sub)
		out = append(out, opLocalGet, bulkTo, opLocalGet, bulkSize, opI32Add)
		out = append(out, opLocalGet, bulkFrom, opLocalGet, bulkSize, opI32Add)
		out = appendI32(append(out, opI32Const), piece)
		return appendMove(out, miscCopy)
	})
	out = append(out, opEnd, opEnd)
	return append(appendRest(out, p, miscCopy), opEnd)
}

func appendMove(out []byte, op byte) []byte {
	out = append(out, opMisc, op, 0)
	if op == miscCopy {
		out = append(out, 0)
	}
	return out
}

func appendLarge(out []byte) []byte {
	out = append(out, opLocalGet, bulkSize)
	return append(appendI32(append(out, opI32Const), piece), opI32GtU)
}

func appendIfLarge(out []byte) []byte { return append(appendLarge(out), opIf, noResult) }

// appendTrapOutside has the instruction trap at once if what begins at one of these
// does not fit.
func appendTrapOutside(out []byte, op byte, starts ...byte) []byte {
	for _, start := range starts {
		out = append(out, opLocalGet, start, opI64ExtendU, opLocalGet, bulkSize, opI64ExtendU, opI64Add)
		out = append(out, opMemorySize, 0, opI64ExtendU, opI64Const, 16, opI64Shl, opI64GtU)
		out = append(out, opIf, noResult, opLocalGet, bulkTo, opLocalGet, bulkFrom, opLocalGet, bulkSize)
		out = append(appendMove(out, op), opEnd)
	}
	return out
}

// appendPieces pays for a piece and moves it, while it is not the last one.
func appendPieces(out []byte, p *parts, move func([]byte) []byte) []byte {
	out = append(out, opLoop, noResult)
	out = appendI32(append(out, opI32Const), piece)
	out = append(appendIndexed(out, opCall, p.chargeSize), opDrop)
	out = appendLarge(move(out))
	return append(out, opBrIf, 0, opEnd)
}

// appendStep moves a parameter by a piece.
func appendStep(out []byte, param, operation byte) []byte {
	out = appendI32(append(out, opLocalGet, param, opI32Const), piece)
	return append(out, operation, opLocalSet, param)
}

// appendRest pays for what is left and moves it.
func appendRest(out []byte, p *parts, op byte) []byte {
	out = append(out, opLocalGet, bulkTo, opLocalGet, bulkFrom, opLocalGet, bulkSize)
	return appendMove(appendIndexed(out, opCall, p.chargeSize), op)
}
