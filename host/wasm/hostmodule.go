package wasm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// HostModule is a set of functions that guests import by the module's name: an
// ABI, or a capability that a manifest grants. It holds no state of its own;
// what a function acts on it finds through CallOf.
type HostModule struct {
	Name      string
	Functions []HostFunction
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
