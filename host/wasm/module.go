package wasm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Bounds on what a module may declare: the JavaScript API's where it has one.
// Its bytes, its memory and its time are bounded elsewhere.
const (
	maxFunctions     = 1_000_000
	maxLocals        = 50_000 // of one function
	maxLoops         = 4000   // of one function: compiling takes time by their square
	maxTables        = 64
	maxTableElements = 1 << 20 // of all tables of an instance, 8 MiB
)

// Ids of the sections that are looked into.
const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

var errNotUnderstood = errors.New("not valid WebAssembly")

// boundModule checks what wazero takes at its word: it makes room for as many
// things as a module declares before it looks for them, and lets a table grow to
// 32 GiB. The module that it returns has tables that can't grow past the bound and,
// if it is to be stoppable, checkpoints.
// What is no module at all is left to wazero, which says why.
func boundModule(module []byte, stoppable bool) ([]byte, error) {
	if !bytes.HasPrefix(module, []byte("\x00asm\x01\x00\x00\x00")) {
		return module, nil
	}
	out := append(make([]byte, 0, len(module)+64), module[:8]...)
	r := &reader{bytes: module, at: 8}
	imported := 0
	for r.more() {
		id := r.byte()
		body := r.take(int(r.u32()))
		if r.err != nil {
			return nil, fmt.Errorf("section %d: %w", id, r.err)
		}
		body, err := boundSection(id, body)
		if id == sectionImport && err == nil {
			imported, err = importedFunctions(body)
		}
		if id == sectionCode && err == nil && stoppable {
			body, err = addCheckpoints(body, imported)
		}
		if err != nil {
			return nil, fmt.Errorf("section %d: %w", id, err)
		}
		out = binary.AppendUvarint(append(out, id), uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}

func importedFunctions(section []byte) (n int, err error) {
	r := &reader{bytes: section}
	for left := r.count(); left > 0 && r.err == nil; left-- {
		if r.importEntry() == importFunction {
			n++
		}
	}
	return n, r.err
}

func boundSection(id byte, body []byte) ([]byte, error) {
	r := &reader{bytes: body}
	switch id {
	case sectionCustom:
		return body, checkCustom(r)
	case sectionStart, sectionDataCount: // they are one number
		return body, nil
	}
	n := r.count()
	each := (*reader).nothing
	switch id {
	case sectionTable:
		return boundTables(r, n)
	case sectionFunction:
		if n > maxFunctions {
			return nil, fmt.Errorf("%d functions, at most %d are possible", n, maxFunctions)
		}
	case sectionType:
		each = (*reader).functionType
	case sectionImport:
		each = func(r *reader) { r.importEntry() }
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
	return body, r.err
}

// boundTables gives each table a maximum.
func boundTables(r *reader, n int) ([]byte, error) {
	if n > maxTables {
		return nil, fmt.Errorf("%d tables, at most %d are possible", n, maxTables)
	}
	most := uint64(maxTableElements / max(n, 1))
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		kind, flags, least := r.byte(), r.byte(), r.u32()
		limit := most
		if flags&1 != 0 {
			limit = min(limit, uint64(r.u32()))
		}
		if r.err == nil && flags > 1 {
			return nil, errNotUnderstood
		}
		if least > most {
			return nil, fmt.Errorf("a table of %d elements, at most %d are possible", least, most)
		}
		out = binary.AppendUvarint(append(out, kind, 1), least)
		out = binary.AppendUvarint(out, max(limit, least))
	}
	return out, r.err
}

// checkCustom looks into the section of names; the others are not read.
func checkCustom(r *reader) error {
	if string(r.take(r.count())) != "name" {
		return r.err
	}
	for r.more() {
		kind := r.byte()
		names := &reader{bytes: r.take(r.count())}
		switch kind {
		case 1: // of functions
			names.nameMap()
		case 2: // of locals
			for n := names.count(); n > 0 && names.err == nil; n-- {
				names.u32()
				names.nameMap()
			}
		}
		if names.err != nil {
			return names.err
		}
	}
	return r.err
}
