// Package manifest reads proxy.toml and policy.toml: strictly, with every
// problem reported at once and at its place.
//
// Load and Parse read a manifest, LoadPolicyFile a policy.toml, LoadEndpoints
// the file that an upstream discovers its endpoints in. What is wrong is a
// Problems: a line for each problem, as file:line:col: path: what is wrong: what
// would be right. Whoever finds more wrong with a manifest later adds to it with
// Manifest.Source and Source.Problem; UsePath and Use.ConfigPath name the place.
// JSONSchema describes the manifest to editors.
//
// Secrets are written as references, "env:NAME" or "file:path", and are resolved
// while reading. Secret.Reveal and Use.ResolvedConfig alone return them;
// Manifest.Redacted, printing and encoding never do.
//
// The types in this file and key.go are the manifest's whole language; their tags say what
// a field accepts (see decoder), their comments are the schema's descriptions. A
// Manifest that Load returned is valid, has all defaults filled in and paths
// absolute, and is never written to.
package manifest

import (
	"net/netip"
	"path/filepath"

	"github.com/ergoproxy/ergo/host/keyring"
)

// Manifest is one proxy.toml.
type Manifest struct {
	Version   int                 `toml:"version" required:"true" min:"1" max:"1"` // of this format: 1
	Host      Host                `toml:"host"`
	Telemetry Telemetry           `toml:"telemetry"`
	State     State               `toml:"state"`
	Cache     Cache               `toml:"cache"`
	Listeners []Listener          `toml:"listener"`
	Upstreams map[string]Upstream `toml:"upstream"`
	Keys      map[string]Key      `toml:"key"`
	Policies  map[string]Policy   `toml:"policy"`
	Edge      Tier                `toml:"edge"`
	Service   Tier                `toml:"service"`
	Split     *Split              `toml:"split"`

	source   *Source
	warnings Problems
	keys     map[string]*keyring.Key // what was read of Keys
}

// Host is what concerns the process as a whole.
type Host struct {
	// Admin is where the admin API listens: "127.0.0.1:9901" (default),
	// "unix:/path" or "" for none.
	Admin string `toml:"admin" default:"127.0.0.1:9901"`
	// AdminToken is required if Admin is not on loopback or a unix socket.
	AdminToken Secret `toml:"admin_token"`
	// Data is the data directory; default ".ergo", relative to the manifest.
	Data string `toml:"data" default:".ergo" form:"path"`
	Log  Log    `toml:"log"`

	// Watch swaps when the manifest or a policy's files change. Default true.
	Watch bool `toml:"watch" default:"true"`
	// KeepGenerations is how many old ones stay for rollback; default 5, 0 to 100.
	KeepGenerations int `toml:"keep_generations" default:"5" min:"0" max:"100"`
	// DrainTimeout ends the exchanges of an old generation; default 10m.
	DrainTimeout    Duration `toml:"drain_timeout" default:"10m"`
	ShutdownTimeout Duration `toml:"shutdown_timeout" default:"30s"` // default 30s

	// TrustedProxies are the networks whose Forwarded, X-Forwarded-* and
	// request-id fields are believed. Default none.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies"`
	// Forwarded says what upstreams are told of the client: "x-forwarded"
	// (default), "forwarded" (RFC 7239), "both" or "none".
	Forwarded string `toml:"forwarded" default:"x-forwarded" enum:"x-forwarded forwarded both none"`
	// Via is the pseudonym in Via (RFC 9110, 7.6.3); default "ergo"; "" adds none.
	Via string `toml:"via" default:"ergo"`
	// RequestID is the field that carries the request id; default "x-request-id".
	RequestID string `toml:"request_id" default:"x-request-id"`

	MaxConnections int `toml:"max_connections" default:"20000" min:"1"` // over all listeners; default 20000
}

// CompiledDir is where compiled modules are kept, below the data directory.
func (h *Host) CompiledDir() string { return filepath.Join(h.Data, "cache") }

// Log is the host's own log and the access log.
type Log struct {
	// Level is the least that is logged: "debug", "info" (default), "warn", "error".
	Level string `toml:"level" default:"info" enum:"debug info warn error"`
	// Format is "auto" (default: text on a terminal, else JSON), "text" or "json".
	Format string `toml:"format" default:"auto" enum:"auto text json"`
	Access bool   `toml:"access" default:"true"` // a line for each exchange; default true
}

// Telemetry is where traces and metrics go.
type Telemetry struct {
	// OTLP is the base URL of an OTLP/HTTP collector, such as
	// "http://127.0.0.1:4318"; empty (default) exports nothing.
	OTLP        string            `toml:"otlp"`
	OTLPHeaders map[string]Secret `toml:"otlp_headers"`
	// Sample is the share of exchanges without a sampled parent that are traced,
	// 0 (default) to 1.
	Sample      float64  `toml:"sample" default:"0" min:"0" max:"1"`
	ServiceName string   `toml:"service_name" default:"ergo"`     // default "ergo"
	Interval    Duration `toml:"interval" default:"15s" min:"1s"` // between metric exports; default 15s
	// Prometheus serves /metrics on the admin address. Default true.
	Prometheus bool `toml:"prometheus" default:"true"`
}

// State is where what policies remember is kept. The process keeps what it was
// started with.
type State struct {
	// Memory is what all policies together may keep in this process; default 64MiB.
	Memory Size   `toml:"memory" default:"64MiB" min:"1MiB"`
	Redis  *Redis `toml:"redis"` // the store that several hosts share; nil: none
}

// Cache is where policies with the grant ergo_cache store responses. The process keeps
// what it was started with.
type Cache struct {
	// Memory is what all policies together may keep in this process; default 64MiB.
	Memory Size `toml:"memory" default:"64MiB" min:"1MiB"`
	Entry  Size `toml:"entry" default:"64MiB" min:"1KiB"` // the largest body; default 64MiB
	// Disk is a folder that they are kept in too, so that they outlive the process;
	// relative to the manifest. One host at a time has it; empty: none.
	Disk      string `toml:"disk" form:"path"`
	DiskBytes Size   `toml:"disk_bytes" default:"1GiB" min:"4MiB"` // what may be in it; default 1GiB
	// Shared has hosts with the same [state] redis, and its prefix, share what they store
	// and what they purge.
	Shared bool `toml:"shared"`
}

// Redis is a server that speaks Redis's protocol and has its scripts, such as
// Valkey; not a cluster.
type Redis struct {
	Address  string       `toml:"address" required:"true"` // "host:port" or "unix:/path"
	Username string       `toml:"username"`
	Password Secret       `toml:"password"`
	Database int          `toml:"database" default:"0" min:"0"` // default 0
	TLS      *UpstreamTLS `toml:"tls"`                          // nil: none
	// Timeout of an operation, waiting for a connection included; default 100ms.
	Timeout     Duration `toml:"timeout" default:"100ms" min:"1ms" max:"10s"`
	Connections int      `toml:"connections" default:"64" min:"1"` // default 64
	// Prefix begins all keys: "ergo" (default) makes "ergo:POLICY:KEY". Hosts with one
	// prefix share what their policies of one name remember.
	Prefix string `toml:"prefix" default:"ergo"`
}

// Listener is one address that clients connect to.
type Listener struct {
	Name    string `toml:"name"`                    // default: the address
	Address string `toml:"address" required:"true"` // "host:port"; port 0 picks a free one
	TLS     *TLS   `toml:"tls"`                     // nil: HTTP/1.1 and h2c; else HTTP/1.1 and HTTP/2 by ALPN
	// HTTP3 serves HTTP/3 too, on the UDP port of the same number; it needs TLS.
	// Responses over other versions announce it by Alt-Svc, unless they have such a
	// field already, for 24 hours.
	HTTP3 bool `toml:"http3"`
	// Link makes it the service tier's door for edge hosts: it needs TLS with
	// client_auth "required", and only [service] answers on it.
	Link   bool         `toml:"link"`
	Limits ListenLimits `toml:"limits"`
}

// ListenLimits bound what a stranger can make a listener hold.
type ListenLimits struct {
	Connections int `toml:"connections" default:"10000" min:"1"` // default 10000
	// Streams of one HTTP/2 or HTTP/3 connection; default 250.
	Streams     int  `toml:"streams" default:"250" min:"1" max:"65535"`
	HeaderBytes Size `toml:"header_bytes" default:"64KiB" min:"1KiB" max:"16MiB"` // default 64KiB; 431 above
	// HeaderCount is the number of fields; default 128; 431 above.
	HeaderCount int `toml:"header_count" default:"128" min:"1"`
	// HeaderTimeout is for the whole request head; default 10s.
	HeaderTimeout Duration `toml:"header_timeout" default:"10s" min:"1ms"`
	// BodyTimeout is the longest silence while a body is read or written; default 60s.
	BodyTimeout Duration `toml:"body_timeout" default:"60s" min:"1ms"`
	// IdleTimeout is between exchanges of a connection; default 120s.
	IdleTimeout Duration `toml:"idle_timeout" default:"120s" min:"1ms"`
}

// TLS is what a listener needs for TLS. Files are read again when they change.
type TLS struct {
	// Certificates by SNI; the first is served when SNI fits none.
	Certificates []Certificate `toml:"certificates" required:"true"`
	// MinVersion is "1.2" (default) or "1.3".
	MinVersion string `toml:"min_version" default:"1.2" enum:"1.2 1.3"`
	// ClientAuth is "none" (default), "optional" or "required".
	ClientAuth string `toml:"client_auth" default:"none" enum:"none optional required"`
	// ClientCA is a PEM file; needed unless ClientAuth is "none".
	ClientCA string `toml:"client_ca" form:"path"`
}

// Certificate is a PEM certificate chain and its key. Paths are relative to the
// manifest.
type Certificate struct {
	Cert string `toml:"cert" required:"true" form:"path"`
	Key  string `toml:"key" required:"true" form:"path"`
}

// Upstream is a named pool of endpoints.
type Upstream struct {
	Endpoints []Endpoint `toml:"endpoints"` // exactly one of Endpoints and Discovery
	Discovery *Discovery `toml:"discovery"`
	// Protocol to endpoints: "auto" (default: HTTP/2 by ALPN on https, HTTP/1.1 on
	// http), "h1", "h2" (on http: with prior knowledge).
	Protocol string `toml:"protocol" default:"auto" enum:"auto h1 h2"`
	// Balance is "least-request" (default: two random choices), "round-robin",
	// "weighted", "maglev" or "random".
	Balance string `toml:"balance" default:"least-request" enum:"least-request round-robin weighted maglev random"`
	// Hash is the key of "maglev" when no policy set one: "client-ip" (default),
	// "header:NAME", "cookie:NAME", "path".
	Hash string       `toml:"hash" default:"client-ip"`
	TLS  *UpstreamTLS `toml:"tls"`
	// Host that endpoints are asked for: "client" (default: pass on the request's
	// authority), "endpoint", or a fixed authority.
	Host        string          `toml:"host" default:"client"`
	Health      *Health         `toml:"health"`
	Outlier     Outlier         `toml:"outlier"`
	Breaker     UpstreamBreaker `toml:"breaker"`
	Retry       Retry           `toml:"retry"`
	Connections Connections     `toml:"connections"`
	// SlowStart is the ramp of a new or recovered endpoint; default 0, none.
	SlowStart Duration `toml:"slow_start" default:"0s"`
	// Timeout is until the response's head, all tries together; default 30s.
	Timeout Duration `toml:"timeout" default:"30s" min:"1ms"`
	// TryTimeout is until the response's head, one try; default 0, only Timeout.
	TryTimeout Duration `toml:"try_timeout" default:"0s"`
	// BodyTimeout is how long a response's body may bring nothing; default 60s, 0 is
	// no bound. Event streams, gRPC and upgraded connections may be silent without it.
	BodyTimeout Duration `toml:"body_timeout" default:"60s"`
}

// Endpoint is one address of an upstream. In TOML it is a URL string or a table.
type Endpoint struct {
	URL    string `toml:"url" required:"true"`                   // "http://host:port", "https://...", "ergo:echo"
	Weight int    `toml:"weight" default:"1" min:"1" max:"1000"` // 1 (default) to 1000
}

// Discovery finds endpoints at run time: exactly one of DNS and File.
type Discovery struct {
	// DNS is "http://name:port": one endpoint for each address of name.
	DNS string `toml:"dns"`
	// File is a TOML file: endpoints = [...]; read again when it changes.
	File     string   `toml:"file" form:"path"`
	Interval Duration `toml:"interval" default:"10s" min:"100ms"` // between DNS look-ups; default 10s
}

// UpstreamTLS is how https endpoints are verified and what they are shown.
type UpstreamTLS struct {
	CA         string `toml:"ca" form:"path"`   // PEM file; default: the system's roots
	Cert       string `toml:"cert" form:"path"` // client certificate for mutual TLS
	Key        string `toml:"key" form:"path"`
	ServerName string `toml:"server_name"` // default: the endpoint's host
	// Insecure accepts any certificate. For tests.
	Insecure bool `toml:"insecure"`
}

// Health is an active probe of each endpoint.
type Health struct {
	Kind string `toml:"kind" default:"http" enum:"http grpc tcp"` // "http" (default), "grpc", "tcp"
	Path string `toml:"path" default:"/"`                         // http: default "/"
	// grpc: the service asked for; default "", the whole server.
	Service string `toml:"service"`
	// Status lists, for http, the answers that are healthy; empty (default): 200 to 399.
	Status    []int    `toml:"status"`
	Interval  Duration `toml:"interval" default:"5s" min:"10ms"` // default 5s, with 10 % jitter
	Timeout   Duration `toml:"timeout" default:"2s" min:"1ms"`   // default 2s
	Healthy   int      `toml:"healthy" default:"2" min:"1"`      // successes to come back; default 2
	Unhealthy int      `toml:"unhealthy" default:"3" min:"1"`    // failures to be taken out; default 3
}

// Outlier ejects an endpoint by how its exchanges end (passive health).
type Outlier struct {
	Failures int `toml:"failures" default:"5" min:"0"` // consecutive; default 5, 0 turns it off
	// Ejection is the first one, doubled each time up to 10 times; default 10s.
	Ejection   Duration `toml:"ejection" default:"10s" min:"1ms"`
	MaxEjected int      `toml:"max_ejected" default:"50" min:"0" max:"100"` // percent of endpoints; default 50
	// Status5xx counts 502, 503 and 504 answers too; default true.
	Status5xx bool `toml:"status_5xx" default:"true"`
}

// UpstreamBreaker opens when an upstream as a whole fails or is full.
type UpstreamBreaker struct {
	// MaxRequests in flight over all endpoints; default 4096.
	MaxRequests int `toml:"max_requests" default:"4096" min:"1"`
	MaxPending  int `toml:"max_pending" default:"1024" min:"0"` // waiting for a connection; default 1024
	// FailureRate is the percent in Window that opens it; default 0, off.
	FailureRate int `toml:"failure_rate" default:"0" min:"0" max:"100"`
	// MinRequests in Window before FailureRate counts; default 20.
	MinRequests int      `toml:"min_requests" default:"20" min:"1"`
	Window      Duration `toml:"window" default:"10s" min:"100ms"` // default 10s
	Open        Duration `toml:"open" default:"5s" min:"1ms"`      // before a half-open probe; default 5s
}

// Retry says when a failed try is followed by another one, on another endpoint
// if there is one. Only idempotent methods, or requests of which nothing was
// sent, are tried again, and never after a byte of the response.
type Retry struct {
	Attempts int `toml:"attempts" default:"2" min:"0" max:"10"` // further tries; default 2, 0 to 10
	// Status lists answers that count as failed; empty (default): none.
	Status []int `toml:"status"`
	// Backoff is the first pause, doubled, with full jitter; default 10ms.
	Backoff Duration `toml:"backoff" default:"10ms"`
	// Budget is retries in percent of requests over 10 s; default 20.
	Budget int `toml:"budget" default:"20" min:"0" max:"100"`
	// MinRetries per second are always allowed; default 3.
	MinRetries int `toml:"min_retries" default:"3" min:"0"`
	// Body is the size up to which request bodies are kept for replay; default 64KiB.
	Body Size `toml:"body" default:"64KiB" max:"1GiB"`
}

// Connections bound the pool of one endpoint.
type Connections struct {
	Max            int      `toml:"max" default:"1024" min:"1"`             // default 1024
	Idle           int      `toml:"idle" default:"256" min:"0"`             // kept open; default 256
	IdleTimeout    Duration `toml:"idle_timeout" default:"60s" min:"1ms"`   // default 60s
	ConnectTimeout Duration `toml:"connect_timeout" default:"2s" min:"1ms"` // default 2s
	MaxAge         Duration `toml:"max_age" default:"0s"`                   // default 0, no bound
}

// Policy names an artifact and what it may do. A use of it in a stage adds the
// configuration.
type Policy struct {
	// Source is a folder with a policy.toml, a .wasm file, or "plugin:" and a program;
	// relative to the manifest.
	Source string   `toml:"source" required:"true"`
	Digest string   `toml:"digest"` // "sha256:<hex>" that the module must have; empty: any
	Grants []string `toml:"grants"` // capability modules it may import; default none
	// Secrets are what ergo_secret tells the policy, by name: "env:NAME", "file:path"
	// or the secret itself; default none.
	Secrets map[string]Secret `toml:"secrets"`
	// Keys are those that ergo_crypto uses for the policy, by the names that it knows
	// them by; default none.
	Keys   map[string]KeyUse `toml:"keys"`
	Limits Limits            `toml:"limits"`
	// Isolation is "shared" (default): an instance serves many exchanges, one after
	// another or, with proxy-wasm, side by side. "exchange" gives each a fresh one.
	Isolation string `toml:"isolation" default:"shared" enum:"shared exchange"`
	// ProxyWasm says how a module of that ABI is run; default: what its policy.toml says.
	ProxyWasm *ProxyWasm `toml:"proxy_wasm"`
	// HTTP is what the policy may call; absent: nothing.
	HTTP *Outbound `toml:"http"`
	KV   KV        `toml:"kv"`
	// Process says how a plugin, which is a program, is run.
	Process Process `toml:"process"`
}

// Process bounds the processes of a plugin. What Linux alone can limit is not limited elsewhere.
type Process struct {
	// Count is how many share the load of a use; default 1.
	Count int `toml:"count" default:"1" min:"1" max:"64"`
	// Start is the longest that one may take to start and to be configured; default 10s.
	Start Duration `toml:"start" default:"10s" min:"100ms" max:"10m"`
	// Memory is the largest address space, of which a program may reserve far more than
	// it uses; default 8GiB. Linux only, as what follows.
	Memory Size `toml:"memory" default:"8GiB" min:"64MiB"`
	Files  int  `toml:"files" default:"1024" min:"16"` // open at once; default 1024
	// Tasks are the processes and threads of the host's user, with the host's own; default 4096.
	// It does not hold for root.
	Tasks int `toml:"tasks" default:"4096" min:"16"`
	// CPU is the processor time after which one is ended, and started again; default 0, no bound.
	CPU Duration `toml:"cpu" default:"0s"`
}

// KV bounds what a policy remembers by ergo_kv.
type KV struct {
	// Store is "memory" (default), of this process, or "shared", the server of [state].
	Store string `toml:"store" default:"memory" enum:"memory shared"`
	// Keys in memory; default 100000. The shared store has bounds of its own.
	Keys int `toml:"keys" default:"100000" min:"1"`
	// Bytes of keys and values in memory, and what holds them; default 16MiB.
	Bytes      Size `toml:"bytes" default:"16MiB" min:"1KiB"`
	ValueBytes Size `toml:"value_bytes" default:"64KiB" max:"16MiB"` // the largest value; default 64KiB
	// OnUnavailable says what happens while the shared store is gone: "fail" (default)
	// ends the call, and on_error decides as for an overload; "tell" lets the policy
	// decide, which is told so; "local" goes on with what this process remembers by
	// itself, within Keys and Bytes.
	OnUnavailable string `toml:"on_unavailable" default:"fail" enum:"fail tell local"`
}

// Outbound says what a policy may call of itself, by ergo_http or by the calls of
// proxy-wasm.
type Outbound struct {
	// Hosts are origins: "https://idp.example.com", "http://127.0.0.1:9000",
	// "https://*.example.com" for any name below. Their addresses must not be
	// special, loopback and link-local among them, unless Internal has them.
	Hosts []string `toml:"hosts"`
	// Upstreams of this manifest, with their balancing, health checks and TLS.
	Upstreams []string `toml:"upstreams"`
	// Methods; default GET, HEAD, POST, PUT, DELETE, PATCH and OPTIONS.
	Methods []string `toml:"methods"`
	// Internal are networks that Hosts may lead to although they are special, such as
	// "127.0.0.0/8". Default none.
	Internal []netip.Prefix `toml:"internal"`
	CA       string         `toml:"ca" form:"path"` // PEM file to verify Hosts by; default: the system's roots
	// RequestBody is the largest; default 1MiB. Of a stream it is what may wait to be
	// sent.
	RequestBody Size `toml:"request_body" default:"1MiB" min:"1B" max:"64MiB"`
	// ResponseBody is the largest; default 1MiB. Of a stream it is one message.
	ResponseBody Size     `toml:"response_body" default:"1MiB" min:"1B" max:"64MiB"`
	Timeout      Duration `toml:"timeout" default:"5s" min:"1ms" max:"1h"` // of a call, all of it; default 5s
	// Concurrent is how many calls may be under way; one more fails. Default 64.
	Concurrent int `toml:"concurrent" default:"64" min:"1" max:"65536"`
}

// ProxyWasm is what the proxy-wasm ABI leaves to whoever runs a module.
type ProxyWasm struct {
	// RootID is the name (plugin_root_id) by which a module with several plugins
	// chooses one; default "".
	RootID string `toml:"root_id"`
	// VMConfig is the text that proxy_on_vm_start can read; default "".
	VMConfig string `toml:"vm_config"`
	// Pause is "all" (default): a policy that pauses at the headers stops everything,
	// as in Envoy. With "headers" they are held while the body is shown, as Higress
	// and Envoy's allow_on_headers_stop_iteration have it.
	Pause string `toml:"pause" default:"all" enum:"all headers"`
	// Service: it has a root context only, for timers and background work. It
	// stands in a stage for its configuration, and exchanges pass it by.
	Service bool `toml:"service"`
}

// Limits bound what a policy may spend.
type Limits struct {
	Memory Size `toml:"memory" default:"64MiB" min:"64KiB" max:"4GiB"` // of one instance; default 64MiB
	// Time of one call, waits for the host not counted; default 1s. It is time on
	// the clock: on a machine with too much to do it passes faster than work is done.
	Time      Duration `toml:"time" default:"1s" min:"1ms"`
	Instances int      `toml:"instances" default:"256" min:"1"` // default 256
	Wait      Duration `toml:"wait" default:"1s"`               // for a free instance; default 1s
	// RequestBody is what the policy may hold in memory of it; default 1MiB.
	RequestBody  Size `toml:"request_body" default:"1MiB" max:"1GiB"`
	ResponseBody Size `toml:"response_body" default:"1MiB" max:"1GiB"` // default 1MiB
	LogLines     int  `toml:"log_lines" default:"100" min:"0"`         // per second; default 100
}

// Tier is [edge] or [service].
type Tier struct {
	MaxInFlight  int      `toml:"max_in_flight" default:"4096" min:"1"` // default 4096
	Queue        int      `toml:"queue" default:"1024" min:"0"`         // that may wait for a place; default 1024
	QueueTimeout Duration `toml:"queue_timeout" default:"1s"`           // default 1s
	Timeout      Duration `toml:"timeout" default:"60s" min:"1ms"`      // until the response's head; default 60s
	// Upstream is where an exchange goes if no policy chose; [service] only.
	Upstream string      `toml:"upstream"`
	Breaker  TierBreaker `toml:"breaker"`
	Stages   []Stage     `toml:"stage"`
}

// TierBreaker opens when the tier fails too often and sheds with 503 while it is open.
type TierBreaker struct {
	FailureRate int      `toml:"failure_rate" default:"0" min:"0" max:"100"` // percent; default 0, off
	MinRequests int      `toml:"min_requests" default:"20" min:"1"`          // default 20
	Window      Duration `toml:"window" default:"10s" min:"100ms"`           // default 10s
	Open        Duration `toml:"open" default:"5s" min:"1ms"`                // default 5s
}

// Stage is a named, ordered group of policies.
type Stage struct {
	Name string `toml:"name" required:"true"`
	When *When  `toml:"when"` // nil: always
	// Combine is "all" (default) or "any": the first policy that lets pass is enough.
	Combine string   `toml:"combine" default:"all" enum:"all any"`
	OnError *OnError `toml:"on_error"` // default: deny
	// Timeout of the stage's request phases together; default 0, the tier's.
	Timeout Duration `toml:"timeout" default:"0s"`
	// MaxRequestBody answers 413 above it; default 0, no bound.
	MaxRequestBody Size  `toml:"max_request_body" default:"0B"`
	Uses           []Use `toml:"use" required:"true"`
}

// Use is a policy with one configuration, in its place in a stage.
type Use struct {
	Policy string `toml:"policy" required:"true"`
	// Config is checked against the policy's schema. It is as written: strings
	// "env:NAME" and "file:path" are resolved in ResolvedConfig only.
	Config  map[string]any `toml:"config"`
	OnError *OnError       `toml:"on_error"` // default: the stage's; for a policy of family auth: deny

	resolved *resolvedConfig
}

// When is a condition on a request. Fields are joined by and, the values of one
// field by or; header fields, which have a value each, by and. In TOML each list
// may be a single string.
type When struct {
	Host []string `toml:"host" form:"one-or-list"` // "example.com", "*.example.com"; without port or case
	// Path is exact, or ends with "*" for any run of characters: "/api/*".
	Path   []string `toml:"path" form:"one-or-list"`
	Method []string `toml:"method" form:"one-or-list"`
	// Header fields, all of which must match. In TOML a table: name = "value",
	// true (present) or false (absent).
	Header []HeaderMatch  `toml:"header"`
	Client []netip.Prefix `toml:"client" form:"one-or-list"` // networks of Exchange.ClientIP
	Not    *When          `toml:"not"`
}

// HeaderMatch asks for a header field by name.
type HeaderMatch struct {
	Name    string
	Value   string // what one value must equal; a "*" at its end matches any rest
	Present bool   // with Value empty: the field must be there
	Absent  bool   // the field must not be there
}

// Action is what happens when a policy fails.
type Action struct {
	Kind   string // "deny", "skip" or "respond"
	Status int    // of respond: 400 to 599
}

// OnError is the failure rule by kind of failure. In TOML it is one action for
// all kinds, "deny", "skip" or { respond = 503 }, or a table of kinds to
// actions; kinds left out are denied.
type OnError struct {
	Load, Config, Trap, Timeout, Overload Action
}

// Split is how edge hosts reach service hosts when the tiers run apart.
type Split struct {
	// Hosts is the upstream of service hosts; it must be https with a client
	// certificate, and is spoken to over HTTP/2.
	Hosts string `toml:"hosts" required:"true"`
	// RetryAfter is told to clients when no service host is reachable; default 5s.
	RetryAfter Duration `toml:"retry_after" default:"5s" min:"1s"`
}
