// Package foreign holds the functions that guests of proxy-wasm call by name, as
// Envoy has them:
//
//	verify_signature, sign       VerifySignatureArguments, SignArguments: RSA (PKCS #1 v1.5) or
//	                             ECDSA with sha1, sha224, sha256, sha384 or sha512
//	compress, uncompress         zlib (RFC 1950), any bytes
//	set_envoy_filter_state       SetEnvoyFilterStateArguments: kept with the exchange
//	declare_property             DeclarePropertyArguments
//	clear_route_cache            does nothing: a route is chosen when the request goes on
//	expr_create                  a CEL expression -> its token, 4 bytes
//	expr_evaluate, expr_delete   a token -> the expression's value as a property's, nothing
//
// Keys are the guest's own, in its arguments; the host has none to give. Messages
// are those of Envoy's protocol buffers, of which unknown fields are ignored.
// Whatever life span a property is declared or set with, it ends with the
// exchange. What is declared as FlatBuffers or a message is given out whole, as
// bytes.
package foreign

import (
	"sync"

	"cel.dev/cel-go/cel"

	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

// Status is what a call returns to the guest, as proxy-wasm numbers it.
type Status uint32

// What calls return.
const (
	OK                   Status = 0
	NotFound             Status = 1
	BadArgument          Status = 2
	SerializationFailure Status = 3
	InternalFailure      Status = 10
)

// Functions are those of one policy. They keep what its guests have made, for all
// of its instances alike: an instance may be the copy of one that has made it. It
// is safe for concurrent use. The zero value is ready for use.
type Functions struct {
	mu          sync.Mutex
	language    *cel.Env
	expressions map[uint32]*expression
	lastToken   uint32
	lastUse     uint64
}

// Call calls the function of that name. The result is the caller's. s has a Plugin.
func (f *Functions) Call(name string, args []byte, s *property.Source) ([]byte, Status) {
	call := functions[name]
	if call == nil {
		return nil, NotFound
	}
	if len(args) > maxArguments {
		return nil, BadArgument
	}
	return call(f, args, s)
}

// maxArguments bounds what a function is given, and the results that grow with it.
const maxArguments = 4 << 20

var functions = map[string]func(f *Functions, args []byte, s *property.Source) ([]byte, Status){
	"verify_signature":       verifySignature,
	"sign":                   sign,
	"compress":               compress,
	"uncompress":             uncompress,
	"set_envoy_filter_state": setFilterState,
	"declare_property":       declareProperty,
	"clear_route_cache":      clearRouteCache,
	"expr_create":            createExpression,
	"expr_evaluate":          evaluateExpression,
	"expr_delete":            deleteExpression,
}

func clearRouteCache(*Functions, []byte, *property.Source) ([]byte, Status) { return nil, OK }

// setFilterState reads path and value.
func setFilterState(_ *Functions, args []byte, s *property.Source) ([]byte, Status) {
	m, ok := decode(args)
	if !ok || property.SetState(string(m.bytes[1]), string(m.bytes[2]), s) != nil {
		return nil, BadArgument
	}
	return nil, OK
}

// typeString is WasmType's of text.
const typeString = 1

// declareProperty reads name, whether it is read-only, and its type.
func declareProperty(_ *Functions, args []byte, s *property.Source) ([]byte, Status) {
	m, ok := decode(args)
	d := property.Declaration{ReadOnly: m.number[2] != 0, Text: m.number[3] == typeString}
	if !ok || s.Plugin.Declare(string(m.bytes[1]), d) != nil {
		return nil, BadArgument
	}
	return nil, OK
}
