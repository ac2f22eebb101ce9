package meter

import (
	"encoding/binary"
	"fmt"
)

// Types of what the meter adds.
const (
	typeCount = "\x60\x01\x7f\x01\x7f"     // (i32) -> i32
	typePlain = "\x60\x00\x00"             // () -> ()
	typeBulk  = "\x60\x03\x7f\x7f\x7f\x00" // (i32, i32, i32) -> ()
)

// parts are the indices of what the meter adds to a module: the import, functions
// behind the module's own, and the counter.
type parts struct {
	typeCount, typePlain, typeBulk uint64
	yield, refill, chargeSize      uint64
	copy, fill                     uint64 // of memory; 0 in a module that has none
	ticks                          uint64

	added [][]byte // bodies of the functions, in order
}

// meter adds the counter, what fills it, and the payments. The sections were
// checked before.
func (m *module) meter() error {
	p := m.place()
	m.add(sectionType, 3, typeCount+typePlain+typeBulk)
	m.add(sectionImport, 1, string(appendName(appendName(nil, Host), Yield))+
		"\x00"+number(p.typeCount))
	m.addFunctions(&p)
	m.add(sectionGlobal, 1, "\x7f\x01\x41\x00\x0b") // mutable i32, 0
	if err := m.renumberExports(&p); err != nil {
		return err
	}
	m.replaceStart(&p)
	m.renumberGlobals()
	m.renumberElements()
	m.renumberNames()
	return m.meterCode(&p)
}

func (m *module) addFunctions(p *parts) {
	m.add(sectionFunction, 2, number(p.typePlain)+number(p.typeCount))
	p.added = append(p.added, refillBody(p), chargeSizeBody(p))
	if p.fill != 0 {
		m.add(sectionFunction, 2, number(p.typeBulk)+number(p.typeBulk))
		p.added = append(p.added, copyBody(p), fillBody(p))
	}
}

func (m *module) place() parts {
	f := &m.functions
	types := m.countOf(sectionType)
	last := f.imported + m.countOf(sectionFunction) // behind the new import
	p := parts{
		typeCount: types, typePlain: types + 1, typeBulk: types + 2,
		yield: f.imported, refill: last + 1, chargeSize: last + 2,
		ticks: m.globals + m.countOf(sectionGlobal),
	}
	if m.memories+m.countOf(sectionMemory) > 0 {
		p.copy, p.fill = last+3, last+4
	}
	return p
}

func (m *module) countOf(id byte) uint64 {
	if m.sections[id] == nil {
		return 0
	}
	r := reader{bytes: m.sections[id]}
	return r.u32()
}

// add appends entries to a section.
func (m *module) add(id byte, n uint64, entries string) {
	out := binary.AppendUvarint(nil, m.countOf(id)+n)
	if old := m.sections[id]; old != nil {
		r := reader{bytes: old}
		r.u32()
		out = append(out, old[r.at:]...)
	}
	m.sections[id] = append(out, entries...)
}

func number(n uint64) string { return string(binary.AppendUvarint(nil, n)) }

func appendName(out []byte, name string) []byte { return appendSized(out, []byte(name)) }

func (m *module) renumberExports(p *parts) error {
	r := &reader{bytes: m.sections[sectionExport]}
	n := m.countOf(sectionExport)
	out := binary.AppendUvarint(nil, n+1)
	if n > 0 {
		r.u32()
	}
	for range n {
		name := r.take(r.count())
		kind, index := r.byte(), r.u32()
		if string(name) == Global || string(name) == Start {
			return fmt.Errorf("section %d: exports %s, a name of the host's own", sectionExport, name)
		}
		if kind == kindFunction {
			index = m.functions.renumber(index)
		}
		out = binary.AppendUvarint(append(appendSized(out, name), kind), index)
	}
	out = append(appendName(out, Global), kindGlobal)
	m.sections[sectionExport] = binary.AppendUvarint(out, p.ticks)
	return r.err
}

// replaceStart exports a function that calls the start function instead, for the
// host to call, which then knows what runs. One that is not the module's own, or not
// () -> (), is for wazero to refuse.
func (m *module) replaceStart(p *parts) {
	body := m.sections[sectionStart]
	if body == nil {
		return
	}
	r := reader{bytes: body}
	function := r.u32()
	start := m.functions.renumber(function)
	if function < m.functions.imported || m.space.shapeOf(function) != (shape{}) {
		m.sections[sectionStart] = []byte(number(start))
		return
	}
	m.sections[sectionStart] = nil
	wrapper := m.functions.imported + 1 + m.countOf(sectionFunction)
	m.add(sectionFunction, 1, number(p.typePlain))
	m.add(sectionExport, 1, string(appendName(nil, Start))+"\x00"+number(wrapper))
	p.added = append(p.added, append(appendIndexed([]byte{0}, opCall, start), opEnd))
}

// renumberGlobals rewrites what refers to functions in the globals' first values.
func (m *module) renumberGlobals() {
	m.copySection(sectionGlobal, func(c *copier) {
		c.take(2)
		c.expression()
	})
}

func (m *module) renumberElements() {
	m.copySection(sectionElement, (*copier).element)
}

// copySection writes a section anew, entry for entry.
func (m *module) copySection(id byte, each func(*copier)) {
	if m.sections[id] == nil {
		return
	}
	c := &copier{reader: reader{bytes: m.sections[id], space: &m.space}, functions: &m.functions}
	for n := c.number(); n > 0 && c.err == nil; n-- {
		each(c)
	}
	m.sections[id] = c.rest()
}

// renumberNames gives functions' names to their new indices.
func (m *module) renumberNames() {
	r := &reader{bytes: m.names}
	m.names = nil
	for r.more() {
		kind := r.byte()
		names := r.take(r.count())
		if kind == namesFunctions {
			c := &copier{reader: reader{bytes: names}, functions: &m.functions}
			for n := c.number(); n > 0 && c.err == nil; n-- {
				c.function()
				c.name()
			}
			names = c.rest()
		}
		m.names = appendSized(append(m.names, kind), names)
	}
}

// copier copies what it reads, and renumbers functions as it goes.
type copier struct {
	reader
	functions *functions
	out       []byte
	copied    int // up to where of bytes
}

// function renumbers the one that is read next.
func (c *copier) function() {
	c.out = append(c.out, c.bytes[c.copied:c.at]...)
	c.out = binary.AppendUvarint(c.out, c.functions.renumber(c.u32()))
	c.copied = c.at
}

func (c *copier) number() uint64 { return c.u32() }

// rest returns all that was copied.
func (c *copier) rest() []byte {
	c.out = append(c.out, c.bytes[c.copied:c.at]...)
	c.copied = c.at
	return c.out
}

// expression copies a constant expression.
func (c *copier) expression() {
	for c.err == nil {
		switch op := c.byte(); op {
		case opRefFunc:
			c.function()
		case opEnd:
			return
		default:
			c.constant(op)
		}
	}
}

// element copies an element segment.
func (c *copier) element() {
	flags := c.segment(c.expression)
	for n := c.number(); n > 0 && c.err == nil; n-- {
		if flags&4 != 0 {
			c.expression()
		} else {
			c.function()
		}
	}
}
