package meter

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Start is what a module that is metered or lifted exports its start function as,
// () -> (), for the host to call after the data is in memory.
const Start = hostPrefix + "start"

// hostPrefix begins the names of what the host exports from a module.
const hostPrefix = "ergo:"

// Lifted is a module whose instances begin empty: without data and without its
// start function having run, which is left to the host. So the host can make an
// instance what another one has become instead. Everything that one has become is
// then in its memory and in its mutable globals, which the module exports.
type Lifted struct {
	Code    []byte
	Data    []Segment // what memory begins with
	Globals int       // GlobalName(0) and on
	Fixed   string    // why nothing was lifted; "" if it was
}

// Segment is a stretch of memory.
type Segment struct {
	Offset uint32
	Bytes  []byte
}

// GlobalName is what a lifted module exports its n-th mutable global as.
func GlobalName(n int) string { return hostPrefix + "global." + strconv.Itoa(n) }

// Why the state of a module's instances can't be taken or given.
const (
	fixedTables   = "it changes its tables"
	fixedSegments = "it uses its segments of data while it runs"
	fixedImports  = "it imports more than functions"
	fixedGlobals  = "it has a mutable global that is not a number of 64 bits at most"
	fixedData     = "its data does not lie at constant places of one memory of its own"
	fixedStart    = "its start function is not an ordinary one of its own"
	fixedNames    = "it exports a name of the host's own"
	fixedForm     = "it is not valid WebAssembly"
)

// Lift lifts a module, metered or not. One whose instances have more state than
// memory and globals, or which is not sound, comes back as it was: it is for
// wazero to say what is wrong with it.
func Lift(code []byte) Lifted {
	l, fixed := lift(code)
	if fixed != "" {
		return Lifted{Code: code, Fixed: fixed}
	}
	return l
}

func lift(code []byte) (l Lifted, fixed string) {
	if !bytes.HasPrefix(code, []byte(preamble)) {
		return l, fixedForm
	}
	m, err := split(code)
	if err != nil {
		return l, fixedForm
	}
	// What indices refer to was compared when the module was bounded.
	m.space = space{types: math.MaxUint64, functions: math.MaxUint64, globals: math.MaxUint64}
	for _, step := range []func(*Lifted) string{m.checkImports, m.checkCode, m.liftData, m.liftGlobals, m.liftStart} {
		if fixed := step(&l); fixed != "" {
			return l, fixed
		}
	}
	l.Code = m.join()
	return l, ""
}

// section reads a section's entries; it reports whether they are sound.
func (m *module) section(id byte, each func(*reader)) bool {
	if m.sections[id] == nil {
		return true
	}
	r := &reader{bytes: m.sections[id], space: &m.space}
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		each(r)
	}
	return r.end() == nil
}

func (m *module) checkImports(*Lifted) string {
	fixed := ""
	sound := m.section(sectionImport, func(r *reader) {
		if _, kind, _ := r.importEntry(); kind != kindFunction {
			fixed = fixedImports
		}
		m.functions.imported++
	})
	if !sound {
		return fixedForm
	}
	return fixed
}

// checkCode looks for instructions that change or depend on what is neither
// memory nor global.
func (m *module) checkCode(*Lifted) string {
	fixed := ""
	sound := m.section(sectionCode, func(r *reader) {
		body := reader{bytes: r.take(r.count()), space: r.space, targets: r.targets}
		body.locals()
		for body.more() && fixed == "" {
			switch i := body.instruction(); {
			case i.reach == ofTables:
				fixed = fixedTables
			case i.reach == ofSegments:
				fixed = fixedSegments
			case i.opcode == opRefFunc && m.sections[sectionStart] != nil:
				fixed = fixedStart // what is exported may be referred to, the start not
			}
		}
		r.targets = body.targets
		if body.err != nil {
			r.fail()
		}
	})
	if !sound {
		return fixedForm
	}
	return fixed
}

// liftData takes the data out. What is passive nobody can use.
func (m *module) liftData(l *Lifted) string {
	placed := m.countOf(sectionData) == 0 || m.countOf(sectionMemory) == 1
	if counted := m.sections[sectionDataCount]; counted != nil {
		r := reader{bytes: counted}
		placed = placed && r.u32() == m.countOf(sectionData)
	}
	sound := m.section(sectionData, func(r *reader) {
		flags := r.u32()
		if flags == 2 && r.u32() != 0 || flags > 2 {
			placed = false
		}
		var offset uint32
		if flags != 1 {
			var constant bool
			offset, constant = r.constantOffset()
			placed = placed && constant
		}
		if b := r.take(r.count()); placed && flags != 1 {
			l.Data = append(l.Data, Segment{offset, bytes.Clone(b)})
		}
	})
	switch {
	case !sound:
		return fixedForm
	case !placed:
		return fixedData
	}
	m.sections[sectionData], m.sections[sectionDataCount] = nil, nil
	return ""
}

// constantOffset reads an expression; it reports whether that is one i32.const.
func (r *reader) constantOffset() (offset uint32, constant bool) {
	at := r.at
	if r.byte() == opI32Const {
		offset = uint32(r.i32())
		if r.byte() == opEnd {
			return offset, r.err == nil
		}
	}
	r.at = at
	r.expression()
	return 0, false
}

// i32 reads a signed number of LEB128.
func (r *reader) i32() int32 {
	var v int64
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			if v < math.MinInt32 || v > math.MaxInt32 {
				r.fail()
			}
			return int32(v)
		}
	}
	r.fail()
	return 0
}

// liftGlobals exports the mutable globals but the counter of ticks, which is the
// host's.
func (m *module) liftGlobals(l *Lifted) string {
	counter, fixed := m.findCounter()
	var exports []byte
	index := uint64(0)
	sound := m.section(sectionGlobal, func(r *reader) {
		kind, mutable := r.byte(), r.byte()
		r.expression()
		if mutable == 1 && index != counter {
			if kind < 0x7c || kind > 0x7f { // f64, f32, i64, i32
				fixed = fixedGlobals
			}
			exports = append(appendName(exports, GlobalName(l.Globals)), kindGlobal)
			exports = binary.AppendUvarint(exports, index)
			l.Globals++
		}
		index++
	})
	if !sound {
		return fixedForm
	}
	if l.Globals > 0 {
		m.add(sectionExport, uint64(l.Globals), string(exports))
	}
	return fixed
}

// findCounter returns the index of the counter; there is none in a module that
// is not metered.
func (m *module) findCounter() (counter uint64, fixed string) {
	counter = math.MaxUint64
	sound := m.section(sectionExport, func(r *reader) {
		name := string(r.take(r.count()))
		kind, index := r.byte(), r.u32()
		switch {
		case name == Global && kind == kindGlobal:
			counter = index
		case name == Start && counter != math.MaxUint64: // the meter's as well
		case strings.HasPrefix(name, hostPrefix):
			fixed = fixedNames
		}
	})
	if !sound {
		return counter, fixedForm
	}
	return counter, fixed
}

// liftStart exports the start function instead.
func (m *module) liftStart(*Lifted) string {
	body := m.sections[sectionStart]
	if body == nil {
		return ""
	}
	r := reader{bytes: body}
	if !m.isPlain(r.u32()) {
		return fixedStart
	}
	m.add(sectionExport, 1, string(appendName(nil, Start))+"\x00"+string(body))
	m.sections[sectionStart] = nil
	return ""
}

// isPlain reports whether a function is the module's own and () -> ().
func (m *module) isPlain(function uint64) bool {
	kind, at := uint64(math.MaxUint64), m.functions.imported
	m.section(sectionFunction, func(r *reader) {
		if t := r.u32(); at == function {
			kind = t
		}
		at++
	})
	plain, next := false, uint64(0)
	m.section(sectionType, func(r *reader) {
		from := r.at
		r.functionType()
		if next == kind {
			plain = string(r.bytes[from:r.at]) == typePlain
		}
		next++
	})
	return plain
}
