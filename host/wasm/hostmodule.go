package wasm

import (
	"context"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// HostModule is a set of functions that guests import by the module's name: an
// ABI, or a capability that a manifest grants. It holds no state of its own;
// what a function acts on it finds through CallOf.
type HostModule struct {
	Name      string
	Functions []HostFunction
	// Other makes what a guest imports and Functions does not have, by that name
	// or with those types; ok is false for what there is not. nil: nothing else.
	Other func(name string, params, results []api.ValueType) (f HostFunction, ok bool)
}

// HostFunction is one function of a host module. Call reads its parameters from
// the stack it is given and leaves its results there; it panics with an error
// to trap the guest.
type HostFunction struct {
	Name    string
	Params  []api.ValueType
	Results []api.ValueType
	Call    api.GoModuleFunc
}

// The value types of which signatures are made.
const (
	I32 = api.ValueTypeI32
	I64 = api.ValueTypeI64
)

// signatures is what a host module offers: the type of each function by name.
type signatures map[string]signature

type signature struct{ params, results []api.ValueType }

// complete returns the module with the other functions that a guest imports of it.
func (m HostModule) complete(imports []api.FunctionDefinition) HostModule {
	if m.Other == nil {
		return m
	}
	offered := m.signatures()
	functions := m.Functions
	for _, f := range imports {
		module, name, _ := f.Import()
		if module != m.Name {
			continue
		}
		if s, known := offered[name]; known && s.is(f) {
			continue
		}
		if other, ok := m.Other(name, f.ParamTypes(), f.ResultTypes()); ok {
			functions = slices.DeleteFunc(slices.Clone(functions), func(f HostFunction) bool { return f.Name == name })
			functions = append(functions, other)
			offered[name] = signature{other.Params, other.Results}
		}
	}
	return HostModule{Name: m.Name, Functions: functions}
}

// is reports whether a guest imports the function as it is.
func (s signature) is(f api.FunctionDefinition) bool {
	return slices.Equal(f.ParamTypes(), s.params) && slices.Equal(f.ResultTypes(), s.results)
}

func (m *HostModule) signatures() signatures {
	s := make(signatures, len(m.Functions))
	for _, f := range m.Functions {
		s[f.Name] = signature{f.Params, f.Results}
	}
	return s
}

func (m *HostModule) instantiate(ctx context.Context, r wazero.Runtime) error {
	builder := r.NewHostModuleBuilder(m.Name)
	for _, f := range m.Functions {
		builder.NewFunctionBuilder().
			WithGoModuleFunction(f.Call, f.Params, f.Results).
			Export(f.Name)
	}
	_, err := builder.Instantiate(ctx)
	return err
}
