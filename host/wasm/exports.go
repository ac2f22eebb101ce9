package wasm

import (
	"errors"
	"fmt"
	"slices"
)

// CheckExports compares what the module exports with what its ABI wants: these
// functions, and a memory that begins within memoryBytes. The error names
// everything that is wrong.
func (p *Program) CheckExports(wanted []Export, memoryBytes int64) error {
	var problems []error
	exported := p.compiled.ExportedFunctions()
	for _, want := range wanted {
		s := signature{want.Params, want.Results}
		f, ok := exported[want.Name]
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("does not export the function %s%s", want.Name, s))
		case !slices.Equal(f.ParamTypes(), want.Params) || !slices.Equal(f.ResultTypes(), want.Results):
			problems = append(problems, fmt.Errorf("exports %s as %s, but it must be %s", want.Name,
				signature{f.ParamTypes(), f.ResultTypes()}, s))
		}
	}
	memory, ok := p.compiled.ExportedMemories()["memory"]
	if !ok {
		problems = append(problems, errors.New("does not export its memory as \"memory\""))
	} else if least := int64(memory.Min()) << 16; least > memoryBytes {
		problems = append(problems, fmt.Errorf("needs %d KiB of memory to begin with, but limits.memory is %d KiB", least>>10, memoryBytes>>10))
	}
	return errors.Join(problems...)
}
