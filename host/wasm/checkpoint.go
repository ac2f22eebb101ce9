package wasm

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// wazero looks at the deadline where a loop begins, and nowhere else: a guest
// that calls itself twice, sixty deep, or fills its memory a million times in a
// row would never end. So checkpoints, loops that do nothing, are put where a
// path through the code would otherwise cost more than maxStretch: before calls
// and before instructions that move memory. Costs are in instructions.
const (
	maxStretch = 2048
	bulkCost   = 128 // of a host function, and of moving memory
)

var checkpoint = [...]byte{0x03, 0x40, 0x0b} // loop, end

// function is one of a module's functions on its way through stretches.
type function struct {
	body    []byte // locals and instructions
	callees []int
	state   functionState
	entry   bool // it gets a checkpoint where it begins
	cost    int  // of the dearest way through it since its last checkpoint
	places  []int
}

type functionState uint8

const (
	unseen functionState = iota
	open                 // it, or what it calls, is being looked at
	known
)

// stretches finds the places for checkpoints. Functions are looked at after those
// that they call; who is called by its own callee gets a checkpoint where it
// begins, so that every way round has one.
type stretches struct {
	imported  int
	functions []function
}

// addCheckpoints rewrites a section of codes. Functions below imported are the
// host's.
func addCheckpoints(section []byte, imported int) ([]byte, error) {
	r := &reader{bytes: section}
	s := stretches{imported: imported, functions: make([]function, r.count())}
	for i := range s.functions {
		f := &s.functions[i]
		f.body = r.take(r.count())
		callees := walker{all: &s, reader: reader{bytes: f.body, err: r.err}}
		callees.listCallees(f)
		if r.err = callees.err; r.err != nil {
			return nil, r.err
		}
	}
	for i := range s.functions {
		if err := s.visit(i); err != nil {
			return nil, err
		}
	}
	out := binary.AppendUvarint(make([]byte, 0, len(section)+len(section)/16), uint64(len(s.functions)))
	for i := range s.functions {
		out = s.functions[i].appendTo(out)
	}
	return out, nil
}

func (f *function) appendTo(out []byte) []byte {
	out = binary.AppendUvarint(out, uint64(len(f.body)+len(f.places)*len(checkpoint)))
	from := 0
	for _, place := range f.places {
		out = append(append(out, f.body[from:place]...), checkpoint[:]...)
		from = place
	}
	return append(out, f.body[from:]...)
}

// visit looks at a function after all that it calls, without recursion: calls may
// be nested a million deep.
func (s *stretches) visit(root int) error {
	type step struct{ function, next int }
	var stack []step
	push := func(i int) {
		if s.functions[i].state == unseen {
			s.functions[i].state = open
			stack = append(stack, step{function: i})
		}
	}
	for push(root); len(stack) > 0; {
		top := &stack[len(stack)-1]
		f := &s.functions[top.function]
		if top.next < len(f.callees) {
			callee := f.callees[top.next]
			top.next++
			if s.functions[callee].state == open {
				s.functions[callee].entry = true
			}
			push(callee)
			continue
		}
		stack = stack[:len(stack)-1]
		w := walker{all: s, reader: reader{bytes: f.body}}
		w.place(f)
		f.state, f.callees = known, nil
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

// costOf is what a call adds to its caller's stretch.
func (s *stretches) costOf(callee int) int {
	switch i := callee - s.imported; {
	case i < 0:
		return bulkCost
	case i >= len(s.functions) || s.functions[i].state != known:
		return maxStretch
	default:
		return 1 + s.functions[i].cost
	}
}

// walker goes through one function.
type walker struct {
	reader
	all    *stretches
	frames []frame
	cost   int // of the dearest way to here since a checkpoint
}

// frame is a block that is open.
type frame struct {
	opcode byte
	before int // cost where an if began
	worst  int // of what branches to its end
}

func (w *walker) listCallees(f *function) {
	w.locals()
	for w.more() {
		if i := w.instruction(); i.opcode == opCall {
			if callee := int(i.index) - w.all.imported; callee >= 0 && callee < len(w.all.functions) {
				f.callees = append(f.callees, callee)
			}
		}
	}
	slices.Sort(f.callees)
	f.callees = slices.Clip(slices.Compact(f.callees))
}

// place finds where the function needs checkpoints.
func (w *walker) place(f *function) {
	w.locals()
	if f.entry {
		f.places = append(f.places, w.at)
	}
	w.frames = append(w.frames, frame{opcode: opBlock})
	loops := 0
	for w.more() && len(w.frames) > 0 {
		at := w.at
		i := w.instruction()
		cost := w.costOf(i)
		if cost > 1 && w.cost+cost > maxStretch {
			f.places = append(f.places, at)
			w.cost = 0
		}
		w.cost = min(w.cost+cost, maxStretch)
		w.follow(i)
		if i.opcode == opLoop || i.bulk { // which wazero makes loops of
			loops++
		}
	}
	if loops += len(f.places); loops > maxLoops && w.err == nil {
		w.err = fmt.Errorf("a function with %d loops or places to stop it, at most %d are possible", loops, maxLoops)
	}
	f.cost = w.cost
}

func (w *walker) costOf(i instruction) int {
	switch {
	case i.opcode == opCall:
		return w.all.costOf(int(i.index))
	case i.opcode == opCallIndirect:
		return maxStretch
	case i.bulk:
		return bulkCost
	}
	return 1
}

// follow takes the cost along where the code branches and joins.
func (w *walker) follow(i instruction) {
	switch i.opcode {
	case opLoop:
		w.cost = 0
		w.frames = append(w.frames, frame{opcode: opLoop})
	case opBlock, opIf:
		w.frames = append(w.frames, frame{opcode: i.opcode, before: w.cost})
	case opElse:
		top := &w.frames[len(w.frames)-1]
		top.worst = max(top.worst, w.cost)
		w.cost, top.opcode = top.before, opElse
	case opEnd:
		top := w.frames[len(w.frames)-1]
		w.frames = w.frames[:len(w.frames)-1]
		w.cost = max(w.cost, top.worst)
		if top.opcode == opIf {
			w.cost = max(w.cost, top.before)
		}
	case opBr, opBrIf:
		w.branch(i.index)
	case opBrTable:
		for _, depth := range i.targets {
			w.branch(depth)
		}
	case opReturn:
		w.branch(uint64(len(w.frames) - 1))
	}
}

// branch takes the cost to the end of a block. At the beginning of a loop there is
// a check anyway. What follows a branch keeps its cost too, which is too much
// rather than too little.
func (w *walker) branch(depth uint64) {
	if depth >= uint64(len(w.frames)) {
		return // not valid, as wazero will say
	}
	f := &w.frames[len(w.frames)-1-int(depth)]
	if f.opcode != opLoop {
		f.worst = max(f.worst, w.cost)
	}
}
