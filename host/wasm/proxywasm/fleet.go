package proxywasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergoproxy/ergo/host/exchange"
	"github.com/ergoproxy/ergo/host/manifest"
	"github.com/ergoproxy/ergo/host/policy"
	"github.com/ergoproxy/ergo/host/wasm"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/foreign"
	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// fleet is the vms of one policy. Streams are given to the vm with the fewest of
// them that nobody is in at the moment; if there is none, the fleet grows.
type fleet struct {
	name      string
	config    []byte // as proxy_on_configure reads it
	settings  manifest.ProxyWasm
	limits    manifest.Limits
	bodies    [2]bodyRule // of request and response
	oneway    bool        // the guest is not asked about responses
	old       bool        // of version 0.1.0, where a field that is missing is an empty one
	isolated  bool        // each exchange has a vm of its own
	shapes    shapes
	engine    *wasm.Engine
	program   *wasm.Program
	image     *wasm.Image   // of the first vm as it was configured; nil: there is none
	period    time.Duration // of its ticks
	grants    []string
	granted   *policy.Granted
	logger    *slog.Logger
	log       *wasm.Log
	bodyPause time.Duration
	badConfig error // why the configuration can't be handed over
	plugin    property.Plugin
	foreign   foreign.Functions
	asks      bool // the guest asks for properties

	memory     wasm.Held
	ticks      atomic.Uint64
	background atomic.Uint64 // failures of work that no exchange waited for
	events     events
	nextID     atomic.Uint32 // of a stream's context
	streams    sync.Pool     // of *stream

	// onLoss is told, with the fleet locked, that a vm was lost; nil: nobody is.
	onLoss func()

	mu      sync.Mutex
	vms     []*vm
	alive   int            // those, and those that start
	living  sync.WaitGroup // so many
	freed   chan struct{}  // closed, and made anew, when there may be room
	waiting int            // who wait for it
	closed  bool
	counts  policy.Stats
	queues  map[uint32]bool // that are told to this fleet
	deaf    bool            // no queue is any more
}

// bodyRule says whether a guest sees the body of one direction, and how much of it
// is held while the guest pauses.
type bodyRule struct {
	shown bool
	max   int64 // unless the guest asks for something else
	most  int64 // that it may ask for
}

// maxStreams bounds the contexts of one vm: a guest keeps a table of them.
const maxStreams = 1024

func newFleet(engine *wasm.Engine, program *wasm.Program, shapes shapes, spec *policy.Spec) *fleet {
	logger := spec.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	limits, needs := spec.Settings.Limits, &spec.Artifact.File.Needs
	f := &fleet{
		name:     spec.Name,
		settings: settingsOf(spec),
		limits:   limits,
		oneway:   needs.RequestOnly,
		isolated: spec.Settings.Isolation == "exchange",
		shapes:   shapes,
		engine:   engine,
		program:  program,
		grants:   spec.Settings.Grants,
		granted:  spec.Granted,
		logger:   logger,
		log:      wasm.NewLog(logger, limits.LogLines),
		freed:    make(chan struct{}),
		queues:   map[uint32]bool{},

		bodyPause: maxBodyPause,
	}
	f.events.fleet = f
	f.config, f.badConfig = policy.GuestConfig(spec.Config)
	f.bodies[request] = ruleOf(needs.RequestBody, limits.RequestBody,
		shapes[onRequestBody].exported || shapes[onRequestTrailers].exported)
	f.bodies[response] = ruleOf(needs.ResponseBody, limits.ResponseBody, !f.oneway &&
		(shapes[onResponseBody].exported || shapes[onResponseTrailers].exported))
	_, f.old = program.Exported("proxy_abi_version_0_1_0")
	f.nextID.Store(rootID)
	f.plugin.Name, f.plugin.RootID, f.plugin.VMID = f.name, f.settings.RootID, f.name
	for _, name := range []string{nameGetProperty, nameSetProperty, nameCallForeign} {
		f.asks = f.asks || program.HasImport(moduleName, name)
	}
	return f
}

func ruleOf(need manifest.BodyNeed, limit manifest.Size, exported bool) bodyRule {
	rule := bodyRule{shown: exported && need.Mode != manifest.BodyNone, max: int64(limit), most: int64(limit)}
	if need.Max > 0 {
		rule.max = int64(need.Max)
	}
	return rule
}

// open starts the first vm.
func (f *fleet) open(ctx context.Context) error {
	if f.badConfig != nil {
		return f.badConfig
	}
	f.expect()
	v, err := f.start(ctx)
	if err != nil {
		return err
	}
	f.snapshot(v)
	f.mu.Lock()
	f.add(v)
	f.mu.Unlock()
	f.engine.AddPool(f)
	return nil
}

// startError prefers what the guest said of its end to how it ended.
func (f *fleet) startError(err error) error {
	if reason := f.log.Reason(); reason != "" {
		return fmt.Errorf("%s (%w)", reason, err)
	}
	return fmt.Errorf("start: %w", err)
}

// expect counts a vm that is to be started; the fleet is locked, or nobody else
// knows it. leave takes it off, and living.Done follows once its instance is closed.
func (f *fleet) expect() {
	f.alive++
	f.living.Add(1)
}

// start makes a vm that is expected.
func (f *fleet) start(ctx context.Context) (*vm, error) {
	v := newVM(f)
	v.held <- struct{}{}
	defer v.release()
	if err := v.start(ctx); err != nil {
		v.die(err)
		return nil, err
	}
	f.mu.Lock()
	f.counts.Created++
	f.mu.Unlock()
	return v, nil
}

// leave takes a vm off the fleet, and reports false if it is off already.
func (f *fleet) leave(v *vm, discarded bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.gone {
		return false
	}
	v.gone = true
	f.alive--
	if discarded {
		f.counts.Discarded++
		if f.onLoss != nil && !f.closed {
			f.onLoss()
		}
	}
	if i := slices.Index(f.vms, v); i >= 0 {
		f.vms = slices.Delete(f.vms, i, i+1)
	}
	f.tell()
	return true
}

// tell has those look again that wait for room; the fleet is locked.
func (f *fleet) tell() {
	if f.waiting > 0 {
		close(f.freed)
		f.freed = make(chan struct{})
	}
}

// assign gives an exchange a vm, and counts it there.
func (f *fleet) assign(x *exchange.Exchange) (*vm, error) {
	f.mu.Lock()
	for deadline := (*time.Timer)(nil); ; {
		switch v, room := f.choose(); {
		case f.closed:
			f.mu.Unlock()
			return nil, wasm.ErrClosed
		case v != nil:
			v.load++
			f.mu.Unlock()
			return v, nil
		case room:
			f.expect()
			f.mu.Unlock()
			return f.grow(x)
		}
		if deadline == nil {
			f.counts.Waits++
			deadline = time.NewTimer(f.limits.Wait.D())
			defer deadline.Stop()
		}
		if err := f.wait(x, deadline); err != nil {
			f.mu.Unlock()
			return nil, err
		}
	}
}

// choose returns the vm with the fewest streams: of those that nobody is in, or,
// if there is no room for one more vm, of all. One that asked to be replaced comes
// last: a stream may keep it for hours. The fleet is locked.
func (f *fleet) choose() (best *vm, room bool) {
	var queue, worn *vm // the best of those that somebody is in, and that are worn
	for _, v := range f.vms {
		switch {
		case v.seen || v.load >= f.maxLoad():
		case v.worn:
			worn = lighter(v, worn)
		case len(v.held) == 0:
			best = lighter(v, best)
		default:
			queue = lighter(v, queue)
		}
	}
	room = f.alive < f.limits.Instances
	if best == nil && !room {
		best = queue
	}
	if best == nil && !room {
		best = worn
	}
	return best, room
}

// lighter returns which of two vms has fewer streams; the other one may be nil.
func lighter(v, other *vm) *vm {
	if other == nil || v.load < other.load {
		return v
	}
	return other
}

func (f *fleet) maxLoad() int {
	if f.isolated {
		return 1
	}
	return maxStreams
}

// wait waits for room. It is called with the fleet locked, and returns so.
func (f *fleet) wait(x *exchange.Exchange, deadline *time.Timer) error {
	freed := f.freed
	f.waiting++
	f.mu.Unlock()
	var err error
	select {
	case <-freed:
	case <-deadline.C:
		err = wasm.ErrOverload
	case <-x.Context().Done():
		err = exchange.CauseOf(x.Context())
	}
	f.mu.Lock()
	f.waiting--
	if err == wasm.ErrOverload {
		f.counts.Overloads++
	}
	return err
}

// grow starts a vm, which is expected, for an exchange and for those after it.
func (f *fleet) grow(x *exchange.Exchange) (*vm, error) {
	v, err := f.start(x.Context())
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	v.load = 1
	f.add(v)
	return v, nil
}

// add has exchanges given to a vm that has started, unless it is lost already: ticks
// may come at once. The fleet is locked.
func (f *fleet) add(v *vm) {
	if !v.gone {
		f.vms = append(f.vms, v)
	}
}

// unassign takes an exchange off its vm. One that was for that exchange alone, or
// whose fleet is closed, ends.
func (f *fleet) unassign(v *vm) {
	f.mu.Lock()
	v.load--
	v.idle = false
	ends := v.load == 0 && (f.isolated || f.closed || v.worn)
	if ends {
		v.seen = true
	} else {
		f.tell()
	}
	f.mu.Unlock()
	switch {
	case ends && f.isolated:
		f.end(v)
	case ends:
		go f.end(v) // a root context may take its time
	}
}

// replace has no exchange given to a vm any more if there is another one. It ends
// with its last one.
func (f *fleet) replace(v *vm) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v.worn = true
}

// end takes a vm to its end that was seen to leave.
func (f *fleet) end(v *vm) {
	v.retire()
	if f.leave(v, false) {
		f.living.Done()
	}
}

// Trim follows wasm.Trimmer: vms of which nothing was asked since the last Trim, and
// that wait for no call, end, but one.
func (f *fleet) Trim() {
	f.mu.Lock()
	var cold []*vm
	stay := 0
	for _, v := range f.vms {
		if !v.seen {
			stay++
		}
	}
	for _, v := range f.vms {
		if v.load == 0 && v.idle && v.underWay.Load() == 0 && !v.seen && stay > 1 {
			cold = append(cold, v)
			v.seen = true
			stay--
		}
		v.idle = v.load == 0
	}
	f.mu.Unlock()
	for _, v := range cold {
		go f.end(v) // a root context may take its time
	}
}

// stats are those of policy.Policy.
func (f *fleet) stats() policy.Stats {
	memory := f.memory.Load()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.counts
	s.Instances = f.alive
	for _, v := range f.vms {
		if v.load > 0 {
			s.Busy++
		}
	}
	s.MemoryBytes, s.Ticks, s.LinesLost = memory, f.ticks.Load(), f.log.Lost()
	s.BackgroundFailures = f.background.Load()
	return s
}

// close ends the vms that no exchange is in; the others end with their last one.
// When ctx ends before that, it says so. It is called once.
func (f *fleet) close(ctx context.Context) error {
	f.engine.RemovePool(f)
	f.events.close()
	f.mu.Lock()
	f.closed = true
	for _, v := range f.vms {
		if v.load == 0 && !v.seen {
			go f.end(v) // each waits for its root context
		}
		v.seen = true
	}
	f.tell()
	f.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		f.living.Wait()
		f.log.Close()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		err = fmt.Errorf("%d instances are still busy: %w", f.stats().Instances, context.Cause(ctx))
	}
	if f.image != nil {
		err = errors.Join(err, f.image.Close(ctx))
	}
	return errors.Join(err, f.program.Close(ctx))
}
