package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/ergoproxy/ergo/host/wasm/meter"
)

// Source is a module to compile.
type Source struct {
	Digest string // of Module; what shares it compiles once
	Module []byte
	ABI    HostModule // the functions that every guest of this ABI may import
}

type programKey struct{ digest, abi string }

// Program is a compiled module, linked with the host modules that it imports.
// Everybody who compiles the same module shares one; it goes when the last of
// them has closed it and the last instance is closed. It is safe for concurrent
// use.
type Program struct {
	engine   *Engine
	key      programKey
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	offered  map[string]signatures // by module name, of all that this host has
	lifted   meter.Lifted          // its code is in compiled
	starts   bool                  // it exports meter.Start
	reseeds  bool                  // it exports Reseed

	references int // guarded by engine.mu
}

// pending is a program that is being compiled, or is there once ready is closed.
type pending struct {
	ready   chan struct{}
	program *Program
	err     error
}

// Compile compiles a module, or shares it if somebody did before. It takes as
// long as half a second for a large module; no exchange must wait for it. Close
// gives the program back.
func (e *Engine) Compile(ctx context.Context, source Source) (*Program, error) {
	key := programKey{source.Digest, source.ABI.Name}
	for {
		e.mu.Lock()
		p, found := e.programs[key]
		if !found {
			p = &pending{ready: make(chan struct{})}
			e.programs[key] = p
		}
		e.mu.Unlock()
		if !found {
			e.fill(ctx, p, key, source)
			return p.program, p.err
		}
		<-p.ready
		if p.err != nil {
			return nil, p.err
		}
		if p.program.retain() {
			return p.program, nil
		}
	}
}

func (e *Engine) fill(ctx context.Context, p *pending, key programKey, source Source) {
	p.err = errCompiler // until it returns
	defer func() {
		if p.err != nil {
			e.mu.Lock()
			delete(e.programs, key)
			e.mu.Unlock()
		}
		close(p.ready)
	}()
	p.program, p.err = e.compile(ctx, key, source)
}

// errCompiler is what others that wait for a program see if compiling it panics.
var errCompiler = errors.New("the compiler broke")

func (e *Engine) compile(ctx context.Context, key programKey, source Source) (*Program, error) {
	rewrite := meter.Rewrite
	if e.options.Unmetered {
		rewrite = meter.Bound
	}
	module, err := rewrite(source.Module)
	if err != nil {
		return nil, wrap("compile", err)
	}
	ctx = experimental.WithCompilationWorkers(ctx, max(1, runtime.GOMAXPROCS(0)/2))
	p := &Program{engine: e, key: key, references: 1, lifted: meter.Lift(module)}
	p.runtime, p.compiled, err = e.compileModule(ctx, p.lifted.Code)
	p.lifted.Code = nil
	if err == nil {
		err = p.checkStart()
	}
	if err == nil {
		err = p.link(ctx, source.ABI)
	}
	if err != nil {
		return nil, errors.Join(err, p.discard(ctx))
	}
	return p, nil
}

// checkStart looks at what the host calls in instances that begin, whatever the ABI.
func (p *Program) checkStart() error {
	exported := p.compiled.ExportedFunctions()
	_, p.starts = exported[meter.Start]
	f, found := exported[Reseed]
	p.reseeds = found
	if found && len(f.ParamTypes())+len(f.ResultTypes()) > 0 {
		return fmt.Errorf("compile: its function %s must be %s", Reseed, signature{})
	}
	return nil
}

// compileModule compiles with the cache, and without if that is what is broken.
func (e *Engine) compileModule(ctx context.Context, module []byte) (wazero.Runtime, wazero.CompiledModule, error) {
	r := wazero.NewRuntimeWithConfig(ctx, e.runtimeConfig(e.cache))
	compiled, err := r.CompileModule(ctx, module)
	if err == nil || e.options.CacheDir == "" {
		return r, compiled, wrap("compile", err)
	}
	fresh := wazero.NewRuntimeWithConfig(ctx, e.runtimeConfig(wazero.NewCompilationCache()))
	if compiled, again := fresh.CompileModule(ctx, module); again == nil {
		e.options.Log.Warn("compilation cache is damaged, compiled without it: delete its folder",
			"folder", e.options.CacheDir, "error", err)
		return fresh, compiled, r.Close(ctx)
	}
	return r, nil, errors.Join(wrap("compile", err), fresh.Close(ctx))
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// link puts the host modules that the module imports beside it.
func (p *Program) link(ctx context.Context, abi HostModule) error {
	imported := make(map[string]bool)
	for _, f := range p.compiled.ImportedFunctions() {
		module, _, _ := f.Import()
		imported[module] = true
	}
	if imported[meter.Host] {
		if err := meterModule.instantiate(ctx, p.runtime); err != nil {
			return fmt.Errorf("link %s: %w", meter.Host, err)
		}
	}
	p.offered = make(map[string]signatures)
	modules := append([]HostModule{abi}, p.engine.options.Capabilities...)
	if abi.Name != environment.Name {
		modules = append(modules, environment)
	}
	for _, m := range modules {
		m = m.complete(p.compiled.ImportedFunctions())
		p.offered[m.Name] = m.signatures()
		if imported[m.Name] {
			if err := m.instantiate(ctx, p.runtime); err != nil {
				return fmt.Errorf("link %s: %w", m.Name, err)
			}
		}
	}
	for _, name := range wasiModules {
		p.offered[name] = nil
		if imported[name] {
			if err := p.linkWASI(ctx, name); err != nil {
				return fmt.Errorf("link %s: %w", name, err)
			}
		}
	}
	return nil
}

// meterModule is what a rewritten guest imports beside its own.
var meterModule = HostModule{Name: meter.Host, Functions: []HostFunction{{
	Name: meter.Yield, Params: []api.ValueType{I32}, Results: []api.ValueType{I32},
	Call: func(ctx context.Context, _ api.Module, stack []uint64) {
		b := &CallOf(ctx).budget
		if b.stack.depth(stack) > maxStack {
			panic(ErrStack)
		}
		stack[0] = api.EncodeI32(b.refill(api.DecodeI32(stack[0])))
	},
}}}

// wasiModules are the two names of WASI preview 1. It is open to every guest:
// without files, environment and arguments it gives clocks, randomness, sleep
// and the log.
var wasiModules = []string{wasi_snapshot_preview1.ModuleName, "wasi_unstable"}

// streamFunctions would change the streams of a guest, which are all the files that
// it has, by how many parameters they take. They do not: an instance has no state
// but what an image has.
var streamFunctions = map[string]int{"fd_close": 1, "fd_renumber": 2, "fd_fdstat_set_flags": 2}

func keepStreams(_ context.Context, stack []uint64) {
	const stderr, badf, notcapable = 2, 8, 76
	if uint32(stack[0]) > stderr {
		stack[0] = badf
		return
	}
	stack[0] = notcapable
}

func (p *Program) linkWASI(ctx context.Context, name string) error {
	builder := p.runtime.NewHostModuleBuilder(name)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(builder)
	for name, params := range streamFunctions {
		builder.NewFunctionBuilder().
			WithGoFunction(api.GoFunc(keepStreams), slices.Repeat([]api.ValueType{I32}, params), []api.ValueType{I32}).
			Export(name)
	}
	module, err := builder.Instantiate(ctx)
	if err != nil {
		return err
	}
	offered := make(signatures)
	for name, f := range module.ExportedFunctionDefinitions() {
		offered[name] = signature{f.ParamTypes(), f.ResultTypes()}
	}
	p.offered[name] = offered
	return nil
}

// environment is what toolchains import on their own account, for guests whose
// ABI is not of that name itself.
var environment = HostModule{Name: "env", Functions: []HostFunction{Abort()}}

// Exported returns an exported function's type; ok is false if there is none of
// that name.
func (p *Program) Exported(name string) (e Export, ok bool) {
	f, ok := p.compiled.ExportedFunctions()[name]
	if !ok {
		return Export{}, false
	}
	return Export{name, f.ParamTypes(), f.ResultTypes()}, true
}

// HasImport reports whether the module imports a function.
func (p *Program) HasImport(module, function string) bool {
	for _, f := range p.compiled.ImportedFunctions() {
		if m, name, _ := f.Import(); m == module && name == function {
			return true
		}
	}
	return false
}

// Export is a function that a guest exports, or that an ABI wants it to.
type Export struct {
	Name            string
	Params, Results []api.ValueType
}

// Close gives the program back. It is called once for each Compile.
func (p *Program) Close(ctx context.Context) error { return p.release(ctx) }

// retain adds a reference; it reports false if the program is gone already.
func (p *Program) retain() bool {
	p.engine.mu.Lock()
	defer p.engine.mu.Unlock()
	if p.references == 0 {
		return false
	}
	p.references++
	return true
}

func (p *Program) release(ctx context.Context) error {
	p.engine.mu.Lock()
	p.references--
	last := p.references == 0
	if last {
		delete(p.engine.programs, p.key)
	}
	p.engine.mu.Unlock()
	if !last {
		return nil
	}
	return p.discard(ctx)
}

// discard closes what there is. The compiled module is counted by the shared
// cache, so closing the runtime alone would keep its code for ever.
func (p *Program) discard(ctx context.Context) error {
	var err error
	if p.compiled != nil {
		err = p.compiled.Close(ctx)
	}
	return errors.Join(err, p.runtime.Close(ctx))
}
