package proxywasm

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// moduleName is what guests import the functions from.
const moduleName = "env"

// status is what every function of the host returns (proxy_status_t).
type status = uint32

const (
	statusOK            status = 0
	statusNotFound      status = 1
	statusBadArgument   status = 2
	statusParseFailure  status = 4
	statusInvalidMemory status = 6
	statusEmpty         status = 7
	statusCASMismatch   status = 8
	statusInternal      status = 10
	statusUnimplemented status = 12
)

// action is what a callback of a stream returns (proxy_action_t, with what C++
// and Higress guests return beyond it).
type action uint32

const (
	actionContinue action = 0
	actionPause    action = 1 // StopIteration at a head, StopIterationAndBuffer at a body
	actionStopDrop action = 3 // at a body: StopIterationNoBuffer
)

// maps that a guest names (proxy_map_type_t).
const (
	mapRequestHeaders       = 0
	mapRequestTrailers      = 1
	mapResponseHeaders      = 2
	mapResponseTrailers     = 3
	mapGRPCInitialMetadata  = 4
	mapGRPCTrailingMetadata = 5
	mapCallResponseHeaders  = 6
	mapCallResponseTrailers = 7
)

// buffers that a guest names (proxy_buffer_type_t).
const (
	bufferRequestBody      = 0
	bufferResponseBody     = 1
	bufferCallResponseBody = 4
	bufferGRPCMessage      = 5
	bufferVMConfig         = 6
	bufferPluginConfig     = 7
	bufferForeignArguments = 8
)

// directions of a stream (proxy_stream_type_t), of which the others are TCP's.
const (
	request  = 0
	response = 1
)

// callback is a function that a guest may export. Each is optional.
type callback uint8

const (
	onMain callback = iota
	onVoidMain
	onMemoryAllocate
	onMalloc
	onVMStart
	onConfigure
	onContextCreate
	onDone
	onLog
	onDelete
	onTick
	onQueueReady
	onRequestHeaders
	onRequestBody
	onRequestTrailers
	onResponseHeaders
	onResponseBody
	onResponseTrailers
	onHTTPCallResponse
	onGRPCInitialMetadata
	onGRPCReceive
	onGRPCTrailingMetadata
	onGRPCTrailingMetadataShort // its name in the C++ and AssemblyScript SDKs
	onGRPCClose
	onForeignFunction
	callbackCount
)

// callbacks name the functions and how many parameters they have at most, all of
// them i32. A guest may take fewer: the first ones are passed.
var callbacks = [callbackCount]struct {
	name   string
	params int
}{
	onMain:                      {"main", 2},
	onVoidMain:                  {"__main_void", 0},
	onMemoryAllocate:            {"proxy_on_memory_allocate", 1},
	onMalloc:                    {"malloc", 1},
	onVMStart:                   {"proxy_on_vm_start", 2},
	onConfigure:                 {"proxy_on_configure", 2},
	onContextCreate:             {"proxy_on_context_create", 2},
	onDone:                      {"proxy_on_done", 1},
	onLog:                       {"proxy_on_log", 1},
	onDelete:                    {"proxy_on_delete", 1},
	onTick:                      {"proxy_on_tick", 1},
	onQueueReady:                {"proxy_on_queue_ready", 2},
	onRequestHeaders:            {"proxy_on_request_headers", 3},
	onRequestBody:               {"proxy_on_request_body", 3},
	onRequestTrailers:           {"proxy_on_request_trailers", 2},
	onResponseHeaders:           {"proxy_on_response_headers", 3},
	onResponseBody:              {"proxy_on_response_body", 3},
	onResponseTrailers:          {"proxy_on_response_trailers", 2},
	onHTTPCallResponse:          {"proxy_on_http_call_response", 5},
	onGRPCInitialMetadata:       {"proxy_on_grpc_receive_initial_metadata", 3},
	onGRPCReceive:               {"proxy_on_grpc_receive", 3},
	onGRPCTrailingMetadata:      {"proxy_on_grpc_receive_trailing_metadata", 3},
	onGRPCTrailingMetadataShort: {"proxy_on_grpc_trailing_metadata", 3},
	onGRPCClose:                 {"proxy_on_grpc_close", 3},
	onForeignFunction:           {"proxy_on_foreign_function", 3},
}

// maxParams is the most that any callback has.
const maxParams = 5

// shape is how a guest exports a callback.
type shape struct {
	exported bool
	params   int
	result   bool
}

// shapes are a module's callbacks.
type shapes [callbackCount]shape

// shapesOf reads them off a program. The error names every callback that has
// another type than the ABI gives it.
func shapesOf(p *wasm.Program) (s shapes, problems []error) {
	for cb, want := range callbacks {
		f, ok := p.Exported(want.name)
		if !ok {
			continue
		}
		s[cb] = shape{true, len(f.Params), len(f.Results) > 0}
		if len(f.Params) > want.params || len(f.Results) > 1 || !areI32(f.Params) || !areI32(f.Results) {
			problems = append(problems, fmt.Errorf("exports %s with another type: it has at most %d parameters and one result, all i32", want.name, want.params))
		}
	}
	return s, problems
}

func areI32(types []api.ValueType) bool {
	for _, t := range types {
		if t != wasm.I32 {
			return false
		}
	}
	return true
}

// streams reports whether a guest has anything to do with streams.
func (s *shapes) streams() bool {
	for _, cb := range []callback{
		onRequestHeaders, onRequestBody, onRequestTrailers, onResponseHeaders, onResponseBody, onResponseTrailers, onLog,
	} {
		if s[cb].exported {
			return true
		}
	}
	return false
}
