// Package property answers what a guest of proxy-wasm asks of the exchange that it
// acts on and of itself, by the names that Envoy calls attributes, and keeps what
// guests leave for each other.
//
// A path is a list of names, each but the last followed by a NUL; one more NUL at
// the end is no name. Text is given as it is, numbers, times (since 1970) and
// durations as 8 bytes, little endian and in nanoseconds, truth as one byte, fields
// as pairs (AppendPairs). What the host does not know is not found: it makes no
// value up. Of Envoy's attributes that are
//
//   - of configuration that this host has not: node, metadata, listener_metadata,
//     cluster_metadata, route_name, route_metadata, upstream_host_metadata, and all
//     of xds but cluster_name and listener_direction, which is 0, unspecified;
//   - of certificates that the host itself showed: connection and upstream
//     .subject_local_certificate, .dns_san_local_certificate, .uri_san_local_certificate;
//   - connection.termination_details, connection.transport_failure_reason,
//     response.backend_latency, upstream.locality, upstream.num_endpoints and
//     upstream.cx_pool_ready_duration.
//
// In a split host the edge does not know which endpoint answered: there is no
// upstream then, but for what a failure tells. What guests set goes with the request
// to the service tier, and does not come back. Others differ from Envoy's thus:
//
//   - request.duration, response.size and response.total_size are there when the
//     exchange has ended; of a request body without a length, so is request.size;
//   - request.time is that of the whole head, not of its first byte;
//   - source is the client, behind trusted proxies the one that they name, and then
//     has no port;
//   - cluster_name is the upstream by its name in the manifest, once a policy has
//     chosen one or the request went on;
//   - response.code_details is "via_upstream", or the cause of a failure in this
//     host's words; of a policy's own answer it is not found;
//   - response.grpc_status is what a field says, never made from an HTTP status;
//   - of an upstream whose certificate is not verified there is no peer certificate;
//   - fields of one name are one, their values joined by commas.
//
// A path that begins with none of these names is one that guests set. They are read
// as filter_state too, there by the name "wasm." and the path, as in Envoy.
package property

import (
	"strings"

	"github.com/ergoproxy/ergo/host/exchange"
)

// Source is what properties are read from. Its user fills it in for each call.
type Source struct {
	Plugin   *Plugin
	Exchange *exchange.Exchange // nil: none is at hand
	Over     bool               // its last byte was sent: sizes and times are final
	Memory   uint64             // bytes that the guest has; 0: not told
	Asked    Asked
}

// Asked is what guests of Higress ask of their host by setting properties. Whoever
// runs the guest decides what comes of it.
type Asked struct {
	Rebuild      bool // another instance is to take its place
	RequestBody  int64
	ResponseBody int64 // bytes of each that it wants to be held; 0: not asked
}

// getter finds one attribute.
type getter func(s *Source) (Value, bool)

// Get appends the encoded value of the property at path to dst.
func Get(dst []byte, path string, s *Source) ([]byte, bool) {
	v, ok := Find(path, s)
	if !ok {
		return dst, false
	}
	return v.Append(dst), true
}

// Find returns the value of the property at path. It is text of the exchange, and
// valid until that changes.
func Find(path string, s *Source) (Value, bool) {
	path = strings.TrimSuffix(path, "\x00")
	root, rest, deeper := strings.Cut(path, "\x00")
	if get := single[root]; get != nil {
		if deeper {
			return Value{}, false
		}
		return get(s)
	}
	if root == "filter_state" {
		return stored(rest, s)
	}
	attributes := grouped[root]
	if attributes == nil {
		return stored(statePrefix+path, s)
	}
	if s.Exchange == nil {
		return Value{}, false
	}
	name, field, deeper := strings.Cut(rest, "\x00")
	get := attributes[name]
	if get == nil {
		return Value{}, false
	}
	v, ok := get(s)
	if !ok || !deeper {
		return v, ok
	}
	return v.field(field)
}

// IsGroup reports whether name is that of several attributes, such as "request".
func IsGroup(name string) bool { return grouped[name] != nil }

// single are the attributes whose path is one name.
var single = map[string]getter{
	"plugin_name":        func(s *Source) (Value, bool) { return textOf(s.Plugin.Name), true },
	"plugin_root_id":     func(s *Source) (Value, bool) { return textOf(s.Plugin.RootID), true },
	"plugin_vm_id":       func(s *Source) (Value, bool) { return textOf(s.Plugin.VMID), true },
	"plugin_vm_memory":   func(s *Source) (Value, bool) { return uintOf(s.Memory), s.Memory > 0 },
	"connection_id":      withExchange(connectionID),
	"cluster_name":       withExchange(clusterName),
	"listener_direction": withExchange(listenerDirection),
}

// grouped are the attributes whose path is two names, and more for one field.
var grouped = map[string]map[string]getter{
	"request":     request,
	"response":    response,
	"source":      source,
	"destination": destination,
	"connection":  connection,
	"upstream":    upstream,
	"xds": {
		"cluster_name":       clusterName,
		"listener_direction": listenerDirection,
	},
}

// withExchange finds nothing while there is no exchange.
func withExchange(get getter) getter {
	return func(s *Source) (Value, bool) {
		if s.Exchange == nil {
			return Value{}, false
		}
		return get(s)
	}
}

func clusterName(s *Source) (Value, bool) {
	name := s.Exchange.Route.Upstream
	return textOf(name), name != ""
}

// listenerDirection is Envoy's UNSPECIFIED.
func listenerDirection(*Source) (Value, bool) { return intOf(0), true }
