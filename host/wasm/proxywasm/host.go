package proxywasm

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// Host is the ABI's host side: the functions of all versions together,
// because what a guest imports does not go by the version that it is marked with.
func Host() wasm.HostModule {
	return wasm.HostModule{Name: moduleName, Other: other, Functions: slices.Concat(
		[]wasm.HostFunction{
			function("proxy_log", "iii", proxyLog),
			function("proxy_get_log_level", "i", getLogLevel),
			function("proxy_get_current_time_nanoseconds", "i", getTime),
			function("proxy_set_tick_period_milliseconds", "i", setTickPeriod),
			function("proxy_set_effective_context", "i", setEffectiveContext),
			function("proxy_done", "", proxyDone),
			function("proxy_continue_stream", "i", continueStream),
			function("proxy_close_stream", "i", closeStream),
			function("proxy_continue_request", "", func(c *call) status { return c.resume(request) }),
			function("proxy_continue_response", "", func(c *call) status { return c.resume(response) }),
			function("proxy_send_local_response", "iiiiiiii", sendLocalResponse),
			function("proxy_clear_route_cache", "", func(*call) status { return statusOK }),
			wasm.Abort(),
		},
		mapFunctions(), bufferFunctions(), sharedFunctions(), metricFunctions(), propertyFunctions(), callFunctions(),
	)}
}

// other makes what guests import beside it. A function of ours whose result a guest
// does not take is ours without it, as 0.1.0 has proxy_continue_request; anything
// else answers that it is not implemented, so that it can be linked.
func other(name string, params, results []api.ValueType) (wasm.HostFunction, bool) {
	for _, f := range Host().Functions {
		if f.Name == name && len(results) == 0 && slices.Equal(f.Params, params) && len(params) > 0 {
			return wasm.HostFunction{Name: name, Params: params, Call: f.Call}, true
		}
		if f.Name == name && len(results) == 0 && len(params) == 0 {
			return wasm.HostFunction{Name: name, Call: withRoom(f.Call)}, true
		}
	}
	answer := uint64(0)
	if strings.HasPrefix(name, "proxy_") {
		answer = uint64(statusUnimplemented)
	}
	return wasm.HostFunction{Name: name, Params: params, Results: results,
		Call: func(_ context.Context, _ api.Module, stack []uint64) {
			for i := range results {
				stack[i] = answer
			}
		},
	}, true
}

// withRoom gives a function whose guest passes and takes nothing room for its
// status.
func withRoom(f api.GoModuleFunc) api.GoModuleFunc {
	return func(ctx context.Context, mod api.Module, _ []uint64) {
		var status [1]uint64
		f(ctx, mod, status[:])
	}
}

func proxyLog(c *call) status {
	level, ok := levelOf(c.arg(0))
	if !ok {
		return statusBadArgument
	}
	message, ok := c.bytes(1)
	if !ok {
		return statusInvalidMemory
	}
	c.of.Log.Emit(c.of, level, message)
	return statusOK
}

func getLogLevel(c *call) status { return c.putU32(0, c.vm.logLevel()) }

// getTime tells the time of day, in nanoseconds since 1970.
func getTime(c *call) status { return c.putU64(0, uint64(time.Now().UnixNano())) }

// setTickPeriod belongs to the root context, whichever one calls.
func setTickPeriod(c *call) status {
	c.vm.setTicks(time.Duration(c.arg(0)) * time.Millisecond)
	return statusOK
}

// setEffectiveContext has the functions that follow act on another context until
// the callback ends. One that is gone is no error: guests come back to streams that
// have ended meanwhile, and SDKs take no for a reason to trap. What they do there
// has no effect.
func setEffectiveContext(c *call) status {
	v, id := c.vm, c.arg(0)
	if id == rootID {
		v.on(nil)
		return statusOK
	}
	s := v.streams[id]
	v.on(s)
	v.effective, v.lost = id, s == nil
	return statusOK
}

// proxyDone ends a context whose proxy_on_done said that it was not done.
func proxyDone(c *call) status {
	v := c.vm
	switch id := v.effective; {
	case id == rootID:
		select {
		case v.rootDone <- struct{}{}:
		default:
		}
	case !v.ending[id]:
		return statusNotFound
	case !slices.Contains(v.doomed, id):
		v.doomed = append(v.doomed, id)
	}
	return statusOK
}

func continueStream(c *call) status {
	switch way := c.arg(0); way {
	case request, response:
		return c.resume(int(way))
	case 2, 3: // of a TCP connection
		return statusUnimplemented
	}
	return statusBadArgument
}

// resume takes effect when the callback has returned.
func (c *call) resume(way int) status {
	s := c.vm.current
	if s == nil {
		return c.nowhere()
	}
	s.ways[way].resumed = true
	s.notify()
	return statusOK
}

// nowhere is the answer to what acts on a stream where there is none: nothing
// happens to one that has ended meanwhile, and the root context is none.
func (c *call) nowhere() status {
	if c.vm.lost {
		return statusOK
	}
	return statusBadArgument
}

func closeStream(c *call) status {
	s := c.vm.current
	if way := c.arg(0); way > response {
		return statusUnimplemented
	}
	if s == nil {
		return c.nowhere()
	}
	s.closed = true
	s.notify()
	return statusOK
}

// maxLocalBody bounds the body of a local response.
const maxLocalBody = 16 << 20

// sendLocalResponse answers the exchange when the callback has returned. A response
// whose head is out is broken off instead, as Envoy does: what the guest does not let
// pass must not look whole. A second answer, and one to a stream that is over, have no
// effect; both happen, and SDKs take no for a reason to trap. The details (parameters
// 1 and 2) go to the access log.
func sendLocalResponse(c *call) status {
	code := c.arg(0)
	details, ok := c.bytes(1)
	body, bodyOK := c.bytes(3)
	headers, headersOK := c.bytes(5)
	if !ok || !bodyOK || !headersOK {
		return statusInvalidMemory
	}
	if code < 200 || code > 599 || len(body) > maxLocalBody {
		return statusBadArgument
	}
	s := c.vm.current
	switch {
	case s == nil:
		return c.nowhere()
	case s.over, s.answered():
		return statusOK
	}
	s.local = &localReply{
		status: int(code), grpc: int32(c.arg(7)), body: slices.Clone(body), headers: parsePairs(headers),
	}
	if x := s.reachable(); x != nil && len(details) > 0 {
		x.Annotate("details", strings.Join(strings.Fields(string(details[:min(len(details), maxDetails)])), "_"))
	}
	s.notify()
	return statusOK
}

// maxDetails bounds what is kept of the details of a local response.
const maxDetails = 256
