// Package meter rewrites modules so that they count what they do and come back
// to the host for more when they have done so much.
//
// The module gets a counter of ticks (Global), which each stretch of its code
// pays from where it begins: the beginnings of functions and loops, and whatever
// is long. Below zero, it calls an import (Host, Yield) with what is left and
// goes on with what that returns. A tick stands for about an instruction; what
// moves memory pays by its size. So whoever holds the import ends loops and
// recursion alike, and the same input always costs the same.
//
// It also bounds what wazero takes at its word: wazero makes room for as many
// things as a module declares before it looks for them, and lets a table grow to
// 32 GiB.
package meter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// What a metered module imports and exports beside its own.
const (
	Host   = "ergo:meter"         // the module it imports from
	Yield  = "yield"              // (ticks left i32) -> (ticks for the next while i32)
	Global = hostPrefix + "ticks" // a mutable i32, 0 at the start
)

// Chunk is for how many ticks a guest may go on by itself. By what a tick costs,
// these are 5 to 30 us, and half a millisecond if each of them misses the cache.
const Chunk = 1 << 14

// Bounds on what a module may declare: the JavaScript API's where it has one.
// Its bytes, its memory and its time are bounded elsewhere.
const (
	maxFunctions     = 1_000_000
	maxLocals        = 50_000 // of one function
	maxLoops         = 2000   // of one function: compiling takes time by their square
	maxTables        = 64
	maxTableElements = 1 << 20 // of all tables of an instance, 8 MiB
	maxTypes         = 1_000_000
	maxFrame         = 1 << 20 // bytes of the stack, of one function
)

// Ids of sections, and the order in which they stand.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

var sectionOrder = [...]byte{
	sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal,
	sectionExport, sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData,
}

var errNotUnderstood = errors.New("not valid WebAssembly")

const preamble = "\x00asm\x01\x00\x00\x00"

// module is one on its way through the rewriter.
type module struct {
	sections  [sectionDataCount + 1][]byte // by id; nil: there is none
	names     []byte                       // the custom section of names
	space     space
	functions functions
	globals   uint64 // imported
	memories  uint64 // so too
}

// Bound checks what a module declares and gives its tables a maximum, and leaves
// it unmetered. What is no module at all is left to wazero, which says why.
func Bound(code []byte) ([]byte, error) {
	return rewrite(code, (*module).bound)
}

// Rewrite does what Bound does, and meters.
func Rewrite(code []byte) ([]byte, error) {
	return rewrite(code, func(m *module) error {
		if err := m.bound(); err != nil {
			return err
		}
		return m.meter()
	})
}

func rewrite(code []byte, change func(*module) error) ([]byte, error) {
	if !bytes.HasPrefix(code, []byte(preamble)) {
		return code, nil
	}
	m, err := split(code)
	if err == nil {
		err = change(m)
	}
	if err != nil {
		return nil, err
	}
	return m.join(), nil
}

// split finds the sections, each of which may be there once and in its place.
// Custom ones other than the names go: they tell of code as it was.
func split(code []byte) (*module, error) {
	m := &module{}
	r := &reader{bytes: code, at: len(preamble)}
	place := 0
	for r.more() {
		id := r.byte()
		body := r.take(int(r.u32()))
		if r.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, r.err)
		}
		if id == sectionCustom {
			if err := m.keepNames(body); err != nil {
				return nil, fmt.Errorf("section %d: %w", id, err)
			}
			continue
		}
		after := bytes.IndexByte(sectionOrder[place:], id)
		if after < 0 {
			return nil, fmt.Errorf("section %d: it is unknown, there twice or out of order", id)
		}
		place += after + 1
		m.sections[id] = body
	}
	return m, nil
}

func (m *module) keepNames(custom []byte) error {
	r := &reader{bytes: custom}
	name := r.take(r.count())
	if !utf8.Valid(name) {
		r.fail()
	}
	if string(name) == "name" && r.err == nil {
		m.names = custom[r.at:]
	}
	return r.err
}

func (m *module) join() []byte {
	size := len(preamble)
	for _, body := range m.sections {
		size += len(body) + 8
	}
	out := append(make([]byte, 0, size+len(m.names)+16), preamble...)
	for _, id := range sectionOrder {
		if body := m.sections[id]; body != nil {
			out = appendSized(append(out, id), body)
		}
	}
	if m.names == nil {
		return out
	}
	custom := append([]byte("\x04name"), m.names...)
	return appendSized(append(out, sectionCustom), custom)
}

func appendSized(out, body []byte) []byte {
	return append(binary.AppendUvarint(out, uint64(len(body))), body...)
}

// bound checks every section.
func (m *module) bound() error {
	m.space.types = m.countOf(sectionType)
	for _, id := range sectionOrder {
		if id == sectionFunction { // all that is imported is known
			m.space.functions = m.functions.imported + m.countOf(sectionFunction)
			m.space.globals = m.globals + m.countOf(sectionGlobal)
		}
		if m.sections[id] == nil {
			continue
		}
		if err := m.boundSection(id); err != nil {
			return fmt.Errorf("section %d: %w", id, err)
		}
	}
	if err := m.boundNames(); err != nil {
		return fmt.Errorf("section %d: %w", sectionCustom, err)
	}
	return nil
}

func (m *module) boundSection(id byte) error {
	r := &reader{bytes: m.sections[id], space: &m.space}
	switch id { // they are one number
	case sectionStart:
		r.functionIndex()
		return r.end()
	case sectionDataCount:
		r.u32()
		return r.end()
	}
	n := r.count()
	var each func(*reader)
	switch id {
	case sectionTable:
		return m.boundTables(r, n)
	case sectionMemory:
		each = (*reader).limits
	case sectionFunction:
		if n > maxFunctions {
			return fmt.Errorf("%d functions, at most %d are possible", n, maxFunctions)
		}
		each = func(r *reader) { m.space.typeOf = append(m.space.typeOf, uint32(r.typeIndex())) }
	case sectionType:
		if n > maxTypes {
			return fmt.Errorf("%d types, at most %d are possible", n, maxTypes)
		}
		each = func(r *reader) { m.space.shapes = append(m.space.shapes, r.functionType()) }
	case sectionImport:
		each = m.countImport
	case sectionGlobal:
		each = (*reader).global
	case sectionExport:
		each = (*reader).export
	case sectionElement:
		each = (*reader).element
	case sectionCode:
		each = (*reader).code
	case sectionData:
		each = (*reader).data
	}
	for i := 0; i < n && r.err == nil; i++ {
		each(r)
	}
	return r.end()
}

func (m *module) countImport(r *reader) {
	from, kind, typeIndex := r.importEntry()
	switch {
	case from == Host && r.err == nil:
		r.err = fmt.Errorf("imports from %s, which is the host's own", Host)
	case kind == kindFunction:
		m.functions.imported++
		m.space.typeOf = append(m.space.typeOf, typeIndex)
	case kind == kindGlobal:
		m.globals++
	case kind == kindMemory:
		m.memories++
	}
}

// boundTables gives each table a maximum.
func (m *module) boundTables(r *reader, n int) error {
	if n > maxTables {
		return fmt.Errorf("%d tables, at most %d are possible", n, maxTables)
	}
	most := uint64(maxTableElements / max(n, 1))
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		kind, flags, least := r.byte(), r.byte(), r.u32()
		limit := most
		if flags&1 != 0 {
			limit = r.u32()
		}
		if r.err == nil && (flags > 1 || limit < least && flags == 1) {
			return errNotUnderstood
		}
		if least > most {
			return fmt.Errorf("a table of %d elements, at most %d are possible", least, most)
		}
		out = binary.AppendUvarint(append(out, kind, 1), least)
		out = binary.AppendUvarint(out, min(limit, most))
	}
	m.sections[sectionTable] = out
	return r.end()
}

// boundNames keeps the names of the module and its functions, which wazero puts
// into what it says of a trap.
func (m *module) boundNames() error {
	r := &reader{bytes: m.names}
	m.names = nil
	for r.more() {
		from := r.at
		kind := r.byte()
		names := &reader{bytes: r.take(r.count())}
		switch kind {
		case namesModule:
			names.name()
		case namesFunctions:
			names.nameMap()
		default:
			continue
		}
		if names.err != nil {
			return names.err
		}
		m.names = append(m.names, r.bytes[from:r.at]...)
	}
	return r.err
}

// What a part of the section of names is about.
const (
	namesModule    = 0
	namesFunctions = 1
)
