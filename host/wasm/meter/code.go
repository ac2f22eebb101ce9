package meter

import (
	"encoding/binary"
	"fmt"
)

// meterCode rewrites the functions and adds the meter's two.
func (m *module) meterCode(p *parts) error {
	section := m.sections[sectionCode]
	n := m.countOf(sectionCode)
	if err := m.findSizes(section, n); err != nil {
		return err
	}
	out := make([]byte, 0, len(section)+len(section)/8+128)
	out = binary.AppendUvarint(out, n+uint64(len(p.added)))
	w := &walker{all: &m.functions, bulk: p.fill != 0}
	r := &reader{bytes: section}
	if n > 0 {
		r.u32()
	}
	for i := range n {
		body := r.take(r.count())
		w.reader = reader{bytes: body, space: &m.space, targets: w.targets}
		w.locals()
		w.walk(m.functions.defined[i])
		if w.err != nil {
			return fmt.Errorf("section %d: %w", sectionCode, w.err)
		}
		if w.loops > maxLoops {
			return fmt.Errorf("section %d: a function with %d loops, at most %d are possible", sectionCode, w.loops, maxLoops)
		}
		out = appendEdited(out, body, w.edits, p)
	}
	for _, body := range p.added {
		out = appendSized(out, body)
	}
	m.sections[sectionCode] = out
	return nil
}

func (m *module) findSizes(section []byte, n uint64) error {
	sizes := make([]size, n)
	r := &reader{bytes: section}
	if n > 0 {
		r.u32()
	}
	for i := range sizes {
		sizes[i] = m.functions.sizeOf(r.take(r.count()), m.functions.imported+uint64(i), &m.space)
		if frame := sizes[i].frame; frame > maxFrame {
			return fmt.Errorf("section %d: a function whose frame may take %d bytes of stack, at most %d are possible", sectionCode, frame, maxFrame)
		}
	}
	m.functions.defined = sizes
	return nil
}

// appendEdited appends a function's body, sized.
func appendEdited(out, body []byte, edits []edit, p *parts) []byte {
	var piece [64]byte
	size := len(body)
	for i := range edits {
		e := &edits[i]
		size += len(e.appendTo(piece[:0], body, p)) - (e.end - e.at)
	}
	out = binary.AppendUvarint(out, uint64(size))
	from := 0
	for i := range edits {
		e := &edits[i]
		out = append(out, body[from:e.at]...)
		out = e.appendTo(out, body, p)
		from = e.end
	}
	return append(out, body[from:]...)
}

// appendTo appends the code that stands for what is replaced in body. It leaves
// the operands as they are.
func (e *edit) appendTo(out, body []byte, p *parts) []byte {
	switch e.kind {
	case indexed:
		return appendIndexed(out, e.opcode, e.value)
	case table:
		out = appendIndexed(out, opBrTable, uint64(len(e.targets)-1))
		for _, depth := range e.targets {
			out = binary.AppendUvarint(out, depth)
		}
		return out
	case paySize:
		return appendIndexed(out, opCall, p.chargeSize)
	case moveBulk:
		if e.opcode == miscCopy {
			return appendIndexed(out, opCall, p.copy)
		}
		return appendIndexed(out, opCall, p.fill)
	case beginLoop:
		out = append(out, body[e.at:e.end]...)
		out = appendRefill(out, p)
		out = append(out, body[e.at:e.end]...)
		out = append(appendSpent(out, p), opBrIf, 1)
		return appendCount(appendConstant(out, e.value, p), p)
	case endLoop:
		return append(out, opEnd)
	}
	return appendRefill(appendCount(appendConstant(out, e.value, p), p), p)
}

// appendConstant brings the counter and a number of ticks on top.
func appendConstant(out []byte, ticks uint64, p *parts) []byte {
	out = appendIndexed(out, opGlobalGet, p.ticks)
	return appendI32(append(out, opI32Const), int32(ticks))
}

// appendCount takes what is on top from the counter below it.
func appendCount(out []byte, p *parts) []byte {
	return appendIndexed(append(out, opI32Sub), opGlobalSet, p.ticks)
}

// appendSpent asks whether the counter is below zero.
func appendSpent(out []byte, p *parts) []byte {
	out = appendIndexed(out, opGlobalGet, p.ticks)
	return append(out, opI32Const, 0, opI32LtS)
}

// appendRefill fills the counter once it is below zero.
func appendRefill(out []byte, p *parts) []byte {
	out = append(appendSpent(out, p), opIf, noResult)
	return append(appendIndexed(out, opCall, p.refill), opEnd)
}

// refillBody is a function that asks the host for ticks.
func refillBody(p *parts) []byte {
	out := []byte{0} // no locals
	out = appendIndexed(out, opGlobalGet, p.ticks)
	out = appendIndexed(out, opCall, p.yield)
	out = appendIndexed(out, opGlobalSet, p.ticks)
	return append(out, opEnd)
}

// chargeSizeBody is a function that pays for the size it is given, and returns it.
func chargeSizeBody(p *parts) []byte {
	out := []byte{0}
	out = appendIndexed(out, opGlobalGet, p.ticks)
	out = append(out, opLocalGet, 0, opI32Const, sizedShift, opI32ShrU)
	out = appendRefill(appendCount(out, p), p)
	return append(out, opLocalGet, 0, opEnd)
}

func appendIndexed(out []byte, opcode byte, index uint64) []byte {
	return binary.AppendUvarint(append(out, opcode), index)
}

// appendI32 appends a constant as signed LEB128.
func appendI32(out []byte, v int32) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}
