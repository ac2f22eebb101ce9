package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/ergoproxy/ergo/host/wasm/meter"
)

// InstanceConfig says how an instance is made.
type InstanceConfig struct {
	MemoryBytes int64          // bound of its linear memory
	CallTime    time.Duration  // bound of each call, the host's waits not counted
	CallTicks   uint64         // bound of each call that is the same everywhere; 0: none
	Log         *Log           // takes what the guest says and prints
	Guest       any            // goes to Call.Guest, before the guest starts
	Granted     any            // goes to Call.Granted
	Held        *Held          // adds up the memory of all instances that share it
	Ticks       *atomic.Uint64 // adds up what all their calls cost; may be nil
}

// Instance is one live sandbox. One goroutine at a time uses it.
type Instance struct {
	program  *Program
	module   api.Module
	call     Call
	memory   memory
	callTime time.Duration
	ticks    *atomic.Uint64
	spent    bool
	nested   bool // a host function has called the guest
	printed  [2]*lineWriter

	image   *Image // that it is a clone of, or nil
	globals []api.MutableGlobal
	reseed  api.Function
}

// Start makes an instance and runs its start-up, `_initialize` or else `_start`,
// within the engine's bound. CheckImports and CheckExports have passed before.
// The error is a *Fault if it is the guest's.
func (p *Program) Start(ctx context.Context, config InstanceConfig) (*Instance, error) {
	if !p.retain() {
		return nil, ErrClosed
	}
	return p.instance(ctx, config, nil)
}

// instance makes an instance that starts, or is a clone. It lets go of the program,
// or of the image, when it is closed, and if there is none.
func (p *Program) instance(ctx context.Context, config InstanceConfig, image *Image) (*Instance, error) {
	options := &p.engine.options
	i := &Instance{
		program: p,
		image:   image,
		call:    Call{Guest: config.Guest, Granted: config.Granted, Log: config.Log, budget: budget{now: options.clock}},
		memory: memory{
			limit: uint64(config.MemoryBytes), onHeap: options.HeapMemory, image: image,
			held: config.Held, pages: p.engine.pages,
		},
		callTime: config.CallTime,
		ticks:    config.Ticks,
	}
	if err := i.start(ctx); err != nil {
		_ = i.Close(ctx) // it says nothing that err does not
		return nil, err
	}
	i.call.budget.tickLimit = config.CallTicks
	return i, nil
}

func (i *Instance) start(ctx context.Context) error {
	// The values go to wazero while it makes the instance.
	i.call.values = experimental.WithMemoryAllocator(ctx, &i.memory)
	i.call.budget.begin(i.program.engine.options.StartTimeout)
	module, err := i.program.runtime.InstantiateModule(&i.call, i.program.compiled, i.moduleConfig())
	i.call.values = nil
	if err == nil {
		i.module = module
	}
	if i.image != nil && i.memory.err != nil {
		return errors.Join(err, i.memory.err)
	}
	if err == nil {
		i.call.budget.counter, _ = module.ExportedGlobal(meter.Global).(api.MutableGlobal)
		err = i.begin()
	}
	if !i.call.budget.end() || err != nil {
		i.spent = true
		return i.startFault(err)
	}
	return nil
}

// begin brings an instance that has nothing yet to where it can be called.
func (i *Instance) begin() error {
	if i.image != nil {
		return i.become()
	}
	for _, s := range i.program.lifted.Data {
		if memory := i.module.Memory(); memory == nil || !memory.Write(s.Offset, s.Bytes) {
			return fmt.Errorf("%d bytes of data at %d are outside of its memory", len(s.Bytes), s.Offset)
		}
	}
	if i.program.starts {
		if err := i.run(i.module.ExportedFunction(meter.Start)); err != nil {
			return err
		}
	}
	return i.initialize()
}

// run calls a function of a guest that begins.
func (i *Instance) run(f api.Function) error {
	i.call.budget.stack.enter(f)
	return f.CallWithStack(&i.call, nil)
}

// initialize runs the function that a reactor exports, or else the one of a
// command, which may leave the instance usable if it does not exit.
func (i *Instance) initialize() error {
	for _, name := range []string{"_initialize", "_start"} {
		if f := i.module.ExportedFunction(name); f != nil {
			return i.run(f)
		}
	}
	return nil
}

func (i *Instance) startFault(err error) error {
	if err == nil {
		err = ErrTime
	}
	fault := i.fault(err)
	if fault.Kind == Exited {
		fault.Err = fmt.Errorf("%w while it started: build it as a reactor (Go: -buildmode=c-shared), not as a command", fault.Err)
	}
	return fault
}

func (i *Instance) moduleConfig() wazero.ModuleConfig {
	i.printed[0] = &lineWriter{call: &i.call, level: slog.LevelInfo, stream: "stdout"}
	i.printed[1] = &lineWriter{call: &i.call, level: slog.LevelWarn, stream: "stderr"}
	return wazero.NewModuleConfig().
		WithName("").
		WithStartFunctions().
		WithRandSource(randomness{&i.call.budget}).
		WithSysWalltime().
		WithSysNanotime().
		WithNanosleep(i.sleep).
		WithOsyield(runtime.Gosched).
		WithStdout(i.printed[0]).
		WithStderr(i.printed[1])
}

// sleep is the guest's own time, so its clock goes on and cuts it short.
func (i *Instance) sleep(ns int64) {
	timer := time.NewTimer(min(time.Duration(ns), i.call.budget.remaining()))
	defer timer.Stop()
	<-timer.C
	i.call.budget.check()
}

// randomness is the system's. One call of a guest can fill its memory with it, so
// it comes in pieces, and the deadline is looked at for each.
type randomness struct{ budget *budget }

// Read follows io.Reader.
func (r randomness) Read(p []byte) (int, error) {
	const piece = 1 << 16
	for rest := p; len(rest) > 0; rest = rest[min(len(rest), piece):] {
		r.budget.check()
		if _, err := rand.Read(rest[:min(len(rest), piece)]); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Function returns an exported function for use with Invoke, nil if there is
// none. It is costly: keep what it returns.
func (i *Instance) Function(name string) api.Function { return i.module.ExportedFunction(name) }

// Memory returns the instance's linear memory. Once the instance is closed or
// reset, nobody may look at what was read from it: it may not even be there.
func (i *Instance) Memory() api.Memory { return i.module.Memory() }

// Call returns the context that host functions get.
func (i *Instance) Call() *Call { return &i.call }

// Invoke calls a function with parameters and results on stack, within the time
// of one call. The error is a *Fault, after which the instance is spent, unless it
// is Unavailable and the guest returned.
func (i *Instance) Invoke(f api.Function, stack []uint64) error {
	i.call.failure = nil
	i.call.budget.begin(i.callTime)
	i.call.budget.stack.enter(f)
	err := f.CallWithStack(&i.call, stack)
	inTime := i.call.budget.end()
	if i.ticks != nil {
		i.ticks.Add(i.call.budget.ticks)
	}
	if inTime && err == nil {
		return i.unavailable()
	} else if err == nil {
		err = ErrTime // it came to its end, but late
	}
	i.spent = true
	return i.fault(err)
}

// unavailable is what a call comes to that went well but for Call.Fail.
func (i *Instance) unavailable() error {
	if i.call.failure == nil {
		return nil
	}
	return &Fault{Unavailable, i.call.failure}
}

// ErrNested is what a guest is trapped with whose allocator, which a host function
// called, calls a host function that needs the allocator.
var ErrNested = errors.New("the function is called again before it has returned")

// Nested calls a function from within a host function, within what is left of the
// call that is under way: for a guest's allocator. A guest that fails in there is
// trapped, and so is one from where this is called once more: wazero would begin
// at the top of a stack that is in use.
func (i *Instance) Nested(f api.Function, stack []uint64) {
	if i.nested {
		panic(ErrNested)
	}
	i.nested = true
	before := i.call.budget.stack.enter(f)
	if err := f.CallWithStack(&i.call, stack); err != nil {
		panic(err)
	}
	i.call.budget.stack.enter(before)
	i.nested = false
}

// Ticks returns what the last call cost: the same for the same module and input.
func (i *Instance) Ticks() uint64 { return i.call.budget.ticks }

// Spent reports whether the instance must not be used again.
func (i *Instance) Spent() bool { return i.spent }

// Close ends the instance.
func (i *Instance) Close(ctx context.Context) error {
	i.call.Leave(nil)
	var err error
	if i.module != nil {
		err = i.module.Close(ctx)
	}
	i.memory.Free() // wazero leaves it if it could not make the module
	for _, w := range i.printed {
		if w != nil {
			w.flush()
		}
	}
	release := i.program.release
	if i.image != nil {
		release = i.image.release
	}
	return errors.Join(err, release(ctx))
}
