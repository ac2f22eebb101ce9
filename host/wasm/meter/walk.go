package meter

// What instructions cost, in ticks: about one for what takes a nanosecond or
// less. Everything that is not named here costs one.
const (
	callCost     = 4   // beside what the function costs
	indirectCost = 8   // so too
	hostCost     = 256 // a function of the host, or growing memory
	sizedCost    = 8   // beside what it moves
	sizedShift   = 3   // it moves 8 bytes or elements for a tick
	frameShift   = 7   // beginning a function costs a tick for 128 bytes of stack
)

// maxStretch bounds what is paid at once, so that a guest which takes a cheaper
// way than it pays for gets to the host once in Chunk/maxStretch payments at
// most. In a function so large that it would have more than maxSites places to
// pay at, it is more: compiling takes time by their square.
const (
	maxStretch = 256
	maxSites   = 1024
)

// maxLeaf is up to what cost a function without loops and calls is paid by those
// who call it.
const maxLeaf = 64

// edit is a change to a function's code.
type edit struct {
	at, end int // what is replaced; nothing, if they are the same
	kind    editKind
	opcode  byte     // of what gets an index or depth, or moves memory
	value   uint64   // ticks to pay; or the new index or depth
	targets []uint64 // new depths
}

type editKind uint8

const (
	pay       editKind = iota // a number of ticks
	paySize                   // for what the operand on top says
	moveBulk                  // in pieces, and pay for each
	beginLoop                 // and pay for each round
	endLoop
	indexed
	table
)

// walker finds where a function pays and what else changes in it. It goes
// through the code once and keeps what the dearest way to here costs since the
// last payment. Paid is where a loop begins, for the dearest way there, be it
// from before or around; before the stretch gets too long; and where the
// function begins, for the dearest way from its last payment to its end.
type walker struct {
	reader
	all    *functions
	bulk   bool // memory is moved by functions of the meter
	frames []frame
	edits  []edit
	cost   uint64 // of the dearest way to here
	dead   bool   // no way leads here
	loops  int
	most   uint64 // cost of a stretch
}

// frame is a block that is open.
type frame struct {
	opcode byte
	site   int // of a loop, in edits
	loops  int // that are open here
	before way // to where an if began
	joined way // of what branches to the end
}

// way is what the dearest way to some place costs; if there is one.
type way struct {
	cost  uint64
	known bool
}

func (a way) join(b way) way {
	return way{max(a.cost, b.cost), a.known || b.known}
}

func (w *walker) here() way {
	if w.dead {
		return way{}
	}
	return way{w.cost, true}
}

func (w *walker) goOnFrom(v way) { w.cost, w.dead = v.cost, !v.known }

// walk goes through the code that follows the locals.
func (w *walker) walk(f size) {
	w.most = max(maxStretch, f.cost/maxSites)
	w.edits, w.loops = w.edits[:0], 0
	w.frames = append(w.frames[:0], frame{opcode: opBlock})
	w.goOnFrom(way{known: true})
	if !f.leaf {
		w.edits = append(w.edits, edit{at: w.at, end: w.at, kind: pay})
	}
	for w.more() && len(w.frames) > 0 {
		at := w.at
		i := w.instruction()
		if !w.dead && !f.leaf {
			w.charge(i, at)
		}
		w.renumber(i, at)
		w.follow(i, at)
	}
	if len(w.frames) > 0 || w.at < len(w.bytes) {
		w.fail()
		return
	}
	if !f.leaf {
		w.edits[0].value = 1 + f.frameCost() + w.cost
	}
}

// charge adds an instruction to the way here, after a payment if that gets too
// long.
func (w *walker) charge(i instruction, at int) {
	cost := w.all.costOf(i)
	if w.cost > 0 && w.cost+cost > w.most {
		w.edits = append(w.edits, edit{at: at, end: at, kind: pay, value: w.cost})
		w.cost = 0
	}
	w.cost += cost
	if !i.sized {
		return
	}
	if op := bulkOf(w.bytes[at:w.at]); op != 0 && w.bulk {
		w.edits = append(w.edits, edit{at: at, end: w.at, kind: moveBulk, opcode: op})
	} else {
		w.edits = append(w.edits, edit{at: at, end: at, kind: paySize})
	}
}

func (w *walker) renumber(i instruction, at int) {
	if i.opcode != opCall && i.opcode != opRefFunc {
		return
	}
	if index := w.all.renumber(i.index); index != i.index {
		w.edits = append(w.edits, edit{at: at, end: w.at, kind: indexed, opcode: i.opcode, value: index})
	}
}

// follow takes the cost along where the code branches and joins.
func (w *walker) follow(i instruction, at int) {
	switch i.opcode {
	case opBlock, opIf:
		w.frames = append(w.frames, frame{opcode: i.opcode, loops: w.openLoops(), before: w.here()})
	case opLoop:
		w.enterLoop(at)
	case opElse:
		top := &w.frames[len(w.frames)-1]
		top.joined = top.joined.join(w.here())
		w.goOnFrom(top.before)
		top.opcode = opElse
	case opEnd:
		w.leave()
	case opBr, opBrIf:
		w.branch(i.index)
		if depth := w.deepen(i.index); depth != i.index {
			w.edits = append(w.edits, edit{at: at, end: w.at, kind: indexed, opcode: i.opcode, value: depth})
		}
	case opBrTable:
		for _, depth := range w.targets {
			w.branch(depth)
		}
		w.deepenTable(at)
	case opReturn:
		w.branch(uint64(len(w.frames) - 1))
	}
	switch i.opcode {
	case opBr, opBrTable, opReturn, opUnreachable:
		w.dead = true
	}
}

// A loop becomes two: the inner one goes round as before, and branches to the
// outer one, which calls the host, when the ticks are used up. So there is no call
// within what goes round, for which the compiler would keep everything in memory.
// Who branches past a loop from within has one more label to pass.
func (w *walker) enterLoop(at int) {
	w.frames = append(w.frames, frame{opcode: opLoop, site: len(w.edits), loops: w.openLoops() + 1})
	w.loops++
	w.edits = append(w.edits, edit{at: at, end: w.at, kind: beginLoop, value: w.cost})
	w.cost = 0
}

func (w *walker) openLoops() int {
	if len(w.frames) == 0 {
		return 0
	}
	return w.frames[len(w.frames)-1].loops
}

// deepen returns the depth of a branch between the loops that were added.
func (w *walker) deepen(depth uint64) uint64 {
	if depth >= uint64(len(w.frames)) {
		return depth // not valid, as wazero will say
	}
	return depth + uint64(w.openLoops()-w.frames[len(w.frames)-1-int(depth)].loops)
}

func (w *walker) deepenTable(at int) {
	if w.openLoops() == 0 {
		return
	}
	targets := make([]uint64, len(w.targets))
	for n, depth := range w.targets {
		targets[n] = w.deepen(depth)
	}
	w.edits = append(w.edits, edit{at: at, end: w.at, kind: table, targets: targets})
}

// leave ends a block. Who branches to a loop does not come to its end.
func (w *walker) leave() {
	top := w.frames[len(w.frames)-1]
	w.frames = w.frames[:len(w.frames)-1]
	if top.opcode == opLoop {
		w.edits = append(w.edits, edit{at: w.at, end: w.at, kind: endLoop})
	}
	end := w.here().join(top.joined)
	if top.opcode == opIf { // without else
		end = end.join(top.before)
	}
	w.goOnFrom(end)
}

// branch takes the cost to the end of a block, or has the loop pay it.
func (w *walker) branch(depth uint64) {
	if w.dead || depth >= uint64(len(w.frames)) {
		return // if the depth is not valid, wazero will say so
	}
	f := &w.frames[len(w.frames)-1-int(depth)]
	if f.opcode != opLoop {
		f.joined = f.joined.join(w.here())
		return
	}
	site := &w.edits[f.site]
	site.value = max(site.value, w.cost)
}

// functions are those of a module.
type functions struct {
	imported uint64
	defined  []size

	frame stackFrame // of the one that is looked at
}

// size is what is known of a function before it is walked.
type size struct {
	cost  uint64 // of all its code, each instruction once
	frame uint64 // bytes of the stack, at most
	leaf  bool   // its callers pay for it
}

// renumber returns the index that a function has behind the meter's import.
func (f *functions) renumber(index uint64) uint64 {
	if index < f.imported {
		return index
	}
	return index + 1
}

func (f *functions) costOf(i instruction) uint64 {
	switch {
	case i.sized:
		return sizedCost
	case i.opcode == opMemoryGrow:
		return hostCost
	case i.opcode == opCallIndirect:
		return indirectCost
	case i.opcode != opCall:
		return 1
	case i.index < f.imported:
		return hostCost
	}
	callee := i.index - f.imported
	if callee < uint64(len(f.defined)) && f.defined[callee].leaf {
		return callCost + f.defined[callee].cost
	}
	return callCost
}

// frameCost is what a function pays for its frame, beside what a call costs anyway:
// so the stack grows by Chunk<<frameShift bytes, 2 MiB, until the guest comes to the
// host.
func (s *size) frameCost() uint64 { return (s.frame - ownBytes) >> frameShift }

// sizeOf looks at a function's body. What is not valid is found out later.
func (f *functions) sizeOf(body []byte, function uint64, limits *space) size {
	r := reader{bytes: body, space: limits}
	frame := &f.frame
	frame.begin(limits, function, r.locals())
	s := size{leaf: true}
	for r.more() {
		i := r.instruction()
		s.cost += f.costOf(i)
		frame.add(i)
		switch i.opcode {
		case opLoop, opCall, opCallIndirect, opMemoryGrow:
			s.leaf = false
		}
		s.leaf = s.leaf && !i.sized
	}
	s.frame = frame.bytes()
	s.cost += s.frameCost()
	s.leaf = s.leaf && s.cost <= maxLeaf && r.err == nil
	return s
}
