package meter

import (
	"context"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/hosttest/race"
)

// What a module does is the same with and without a meter.
func TestGeneratedModulesBehaveAlike(t *testing.T) {
	total := uint64(200)
	if testing.Short() || race.Enabled {
		total = 20
	}
	finished, trapped := 0, 0
	for seed := range total {
		failed := compareGenerated(t, seed)
		finished += len(generatedInputs) - failed
		trapped += failed
	}
	if finished < trapped/10 || trapped < finished/100 {
		t.Errorf("%d calls came to their end and %d trapped: the modules prove little", finished, trapped)
	}
}

func FuzzGenerated(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { compareGenerated(t, seed) })
}

var generatedInputs = [][2]uint64{{0, 0}, {1, 7}, {1<<32 - 1, 3}}

// compareGenerated runs a module's first function and returns how often it
// trapped.
func compareGenerated(t *testing.T, seed uint64) (failed int) {
	module := generate(seed)
	var runs [2]*instance
	for n, rewrite := range []func([]byte) ([]byte, error){same, Rewrite} {
		runs[n] = newMachine(t, rewrite, nil).load(t, module)
	}
	before, after := runs[0], runs[1]
	for _, input := range generatedInputs {
		want, errWant := before.call("a", input[0], input[1])
		got, errGot := after.call("a", input[0], input[1])
		if !slices.Equal(got, want) || firstLine(errGot) != firstLine(errWant) {
			t.Fatalf("seed %d: got %x, %v\nwant %x, %v", seed, got, errGot, want, errWant)
		}
		if got, want := after.state(), before.state(); got != want {
			t.Fatalf("seed %d: memory and global %x, want %x", seed, got, want)
		}
		if errWant != nil {
			failed++
		}
	}
	return failed
}

// state is what a call of a generated module leaves behind.
func (i *instance) state() [2]uint64 {
	return [2]uint64{memoryOf(i), i.ExportedGlobal("v").Get()}
}

// The cost of a call is the same each time.
func TestCostIsDeterministic(t *testing.T) {
	for seed := range uint64(50) {
		var costs [2]int64
		for n := range costs {
			i := newMachine(t, Rewrite, nil).load(t, generate(seed))
			_, _ = i.call("a", 1, 2)
			costs[n] = i.ticks()
		}
		if costs[0] != costs[1] || costs[0] < 0 {
			t.Errorf("seed %d: %d and %d ticks", seed, costs[0], costs[1])
		}
	}
}

// Real modules of several toolchains compile, with the same imports and exports
// but for the meter's.
func TestRealModules(t *testing.T) {
	m := newMachineOn(t, wazero.NewRuntimeConfigInterpreter(), same, nil) // which is quick to compile
	for _, file := range realModules(t) {
		if race.Enabled && len(file.module) > 1<<20 {
			continue
		}
		metered, err := Rewrite(file.module)
		if err != nil {
			t.Errorf("%s: %v", file.name, err)
			continue
		}
		before, err := m.runtime.CompileModule(context.Background(), file.module)
		if err != nil {
			t.Fatal(err)
		}
		after, err := m.runtime.CompileModule(context.Background(), metered)
		if err != nil {
			t.Errorf("%s: %v", file.name, err)
			continue
		}
		if got, want := importNames(after.ImportedFunctions()), append(importNames(before.ImportedFunctions()), Host+"."+Yield); !slices.Equal(got, want) {
			t.Errorf("%s imports %v, want %v", file.name, got, want)
		}
		for name, want := range before.ExportedFunctions() {
			got := after.ExportedFunctions()[name]
			if got == nil || got.Name() != want.Name() || !slices.Equal(got.ParamTypes(), want.ParamTypes()) {
				t.Errorf("%s exports %s as %v, want %v", file.name, name, got, want)
			}
		}
	}
}

func importNames(functions []api.FunctionDefinition) []string {
	var names []string
	for _, f := range functions {
		module, name, _ := f.Import()
		names = append(names, module+"."+name)
	}
	return names
}
