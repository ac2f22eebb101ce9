package meter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// moduleOf makes a module of sections.
func moduleOf(sections ...[]byte) []byte {
	module := []byte("\x00asm\x01\x00\x00\x00")
	for _, s := range sections {
		module = append(module, s...)
	}
	return module
}

func section(id byte, body string) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(body))), body...)
}

// codes is a section of functions without locals.
func codes(bodies ...string) []byte {
	code := binary.AppendUvarint(nil, uint64(len(bodies)))
	for _, body := range bodies {
		code = append(binary.AppendUvarint(code, uint64(len(body)+2)), "\x00"+body+"\x0b"...)
	}
	return section(sectionCode, string(code))
}

// oneFunction is a module whose only function, "run", takes and returns nothing.
func oneFunction(body string) []byte { return plainFunctions(body) }

// plainFunctions is a module of functions that take and return nothing, of which it
// exports the last one as "run". It imports one as function 0, and has 16 pages of
// memory, a table of the first one and a mutable i32.
func plainFunctions(bodies ...string) []byte {
	n := string(binary.AppendUvarint(nil, uint64(len(bodies))))
	return moduleOf(
		section(sectionType, oneType),
		section(sectionImport, "\x01\x04test\x04host\x00\x00"),
		section(sectionFunction, n+string(make([]byte, len(bodies)))),
		section(sectionTable, "\x01\x70\x00\x08"),
		section(sectionMemory, "\x01\x00\x10"),
		section(sectionGlobal, "\x01\x7f\x01\x41\x00\x0b"),
		section(sectionExport, "\x01\x03run\x00"+n),
		section(sectionElement, "\x01\x00\x41\x00\x0b\x01\x01"),
		codes(bodies...))
}

// machine runs modules, rewritten or not.
type machine struct {
	runtime wazero.Runtime
	rewrite func([]byte) ([]byte, error)
	lifts   bool // what is rewritten
	yields  int
	used    int64     // ticks, up to the last yield
	last    *instance // that was loaded
	onStack func(params []uint64)
}

type instance struct {
	machine *machine
	api.Module
}

// newMachine makes one whose guests go on after each yield as long as yield,
// called with the ticks used so far, does not panic.
func newMachine(t testing.TB, rewrite func([]byte) ([]byte, error), yield func(used int64)) *machine {
	t.Helper()
	return newMachineOn(t, wazero.NewRuntimeConfig(), rewrite, yield)
}

func newMachineOn(t testing.TB, config wazero.RuntimeConfig, rewrite func([]byte) ([]byte, error), yield func(used int64)) *machine {
	t.Helper()
	m := &machine{runtime: wazero.NewRuntimeWithConfig(context.Background(), config), rewrite: rewrite}
	t.Cleanup(func() { _ = m.runtime.Close(context.Background()) })
	granted := int64(0)
	refill := func(_ context.Context, stack []uint64) {
		m.used += granted - int64(api.DecodeI32(stack[0]))
		m.yields++
		if m.onStack != nil {
			m.onStack(stack)
		}
		if yield != nil {
			yield(m.used)
		}
		granted = Chunk
		stack[0] = Chunk
	}
	_, err := m.runtime.NewHostModuleBuilder(Host).NewFunctionBuilder().
		WithGoFunction(api.GoFunc(refill), []api.ValueType{api.ValueTypeI32}, []api.ValueType{api.ValueTypeI32}).
		Export(Yield).Instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.runtime.NewHostModuleBuilder("test").
		NewFunctionBuilder().WithFunc(func() {}).Export("host").
		NewFunctionBuilder().WithFunc(func(n int32) int32 { return n + 1 }).Export("add").
		Instantiate(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// instantiate starts a module; the error is its compiler's or its own.
func (m *machine) instantiate(module []byte, name string) (*instance, error) {
	module, err := m.rewrite(module)
	if err != nil {
		return nil, err
	}
	lifted := Lifted{Code: module}
	if m.lifts {
		lifted = Lift(module)
	}
	mod, err := m.runtime.InstantiateWithConfig(context.Background(), lifted.Code,
		wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	if err != nil {
		return nil, err
	}
	i := &instance{m, mod}
	if err := i.begin(&lifted); err != nil {
		_ = mod.Close(context.Background())
		return nil, err
	}
	m.last = i
	return i, nil
}

// begin does what was lifted out of the module.
func (i *instance) begin(l *Lifted) error {
	for _, s := range l.Data {
		if !i.Memory().Write(s.Offset, s.Bytes) {
			return errors.New("out of bounds memory access")
		}
	}
	if i.ExportedFunction(Start) == nil {
		return nil
	}
	if _, err := i.call(Start); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	return nil
}

func (m *machine) load(t testing.TB, module []byte) *instance {
	t.Helper()
	i, err := m.instantiate(module, "")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *instance) call(name string, params ...uint64) ([]uint64, error) {
	return i.ExportedFunction(name).Call(context.Background(), params...)
}

// ticks returns what all calls have cost.
func (i *instance) ticks() int64 {
	left := int64(api.DecodeI32(i.ExportedGlobal(Global).Get()))
	if i.machine.yields == 0 {
		return -left
	}
	return i.machine.used + Chunk - left
}

// same is a rewriter that leaves everything as it is.
func same(module []byte) ([]byte, error) { return module, nil }

type realModule struct {
	name   string
	module []byte
}

// realModules are the guests of tests and the shipped policies.
func realModules(t testing.TB) []realModule {
	t.Helper()
	var found []realModule
	for _, pattern := range []string{"../testdata/*.wasm", "../*/testdata/*.wasm", "../../../policies/*/policy.wasm"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no modules at %s: %v", pattern, err)
		}
		for _, file := range files {
			module, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, realModule{file, module})
		}
	}
	return found
}
