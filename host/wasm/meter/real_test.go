package meter

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// What real modules do as they start and in their first calls is the same with and
// without a meter, and costs the same each time: with the host's functions doing
// nothing but return 0, and the fixed clocks and chance that wazero has by default.
func TestRealModulesBehaveAlike(t *testing.T) {
	if race.Enabled {
		t.Skip("it sees nothing of guests")
	}
	ran := 0
	for _, file := range realModules(t) {
		t.Run(file.name, func(t *testing.T) {
			want, _ := playThrough(t, file.module, same)
			got, cost := playThrough(t, file.module, Rewrite)
			_, again := playThrough(t, file.module, Rewrite)
			if !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if cost != again {
				t.Errorf("it costs %d ticks, and %d", cost, again)
			}
			if cost > 100 {
				ran++
			}
		})
	}
	if ran < 4 {
		t.Errorf("%d modules did anything", ran)
	}
}

// playThrough starts a module and calls what hosts call. It returns how each call
// ended, with a sum over the memory after it, and what all of them cost.
func playThrough(t *testing.T, module []byte, rewrite func([]byte) ([]byte, error)) (story []string, cost int64) {
	t.Helper()
	ctx := t.Context()
	config := wazero.NewRuntimeConfig()
	if len(module) > 1<<20 {
		config = wazero.NewRuntimeConfigInterpreter() // which is quick to compile
	}
	m := newMachineOn(t, config, rewrite, nil)
	compiled, err := m.runtime.CompileModule(ctx, module)
	if err != nil {
		return []string{err.Error()}, 0
	}
	m.stub(t, compiled.ImportedFunctions())
	i, err := m.instantiate(module, "")
	if err != nil {
		return []string{firstLine(err)}, 0
	}
	for _, name := range []string{"_initialize", "_start", "handle_request", "handle_response"} {
		f := i.ExportedFunction(name)
		if f == nil {
			continue
		}
		stack := make([]uint64, 8)
		err := f.CallWithStack(ctx, stack)
		story = append(story, name+" "+firstLine(err)+number(stack[0])+number(memoryOf(i)))
		if err != nil && errors.As(err, new(interface{ ExitCode() uint32 })) {
			break
		}
	}
	if i.ExportedGlobal(Global) != nil {
		cost = i.ticks()
	}
	return story, cost
}

// stub makes the modules that a guest imports from.
func (m *machine) stub(t *testing.T, imports []api.FunctionDefinition) {
	t.Helper()
	builders := make(map[string]wazero.HostModuleBuilder)
	for _, f := range imports {
		module, name, _ := f.Import()
		switch {
		case module == wasi_snapshot_preview1.ModuleName:
			if m.runtime.Module(module) == nil {
				wasi_snapshot_preview1.MustInstantiate(t.Context(), m.runtime)
			}
			continue
		}
		if builders[module] == nil {
			builders[module] = m.runtime.NewHostModuleBuilder(module)
		}
		nothing := func(_ context.Context, stack []uint64) { clear(stack) }
		builders[module].NewFunctionBuilder().WithGoFunction(api.GoFunc(nothing), f.ParamTypes(), f.ResultTypes()).Export(name)
	}
	for module, b := range builders {
		if own := m.runtime.Module(module); own != nil {
			_ = own.Close(t.Context())
		}
		if _, err := b.Instantiate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
