// Package manifest reads proxy.toml and policy.toml: strictly, with every
// problem reported at once and at its place.
//
// The types in this file are the manifest's whole language. A Manifest that
// Load returned is valid, has all defaults filled in, and is never written to.
package manifest

import "net/netip"

// Manifest is one proxy.toml.
type Manifest struct {
	Version   int                 `toml:"version"` // of this format: 1
	Host      Host                `toml:"host"`
	Telemetry Telemetry           `toml:"telemetry"`
	Listeners []Listener          `toml:"listener"`
	Upstreams map[string]Upstream `toml:"upstream"`
	Policies  map[string]Policy   `toml:"policy"`
	Edge      Tier                `toml:"edge"`
	Service   Tier                `toml:"service"`
	Split     *Split              `toml:"split"`
}

// Host is what concerns the process as a whole.
type Host struct {
	Admin      string `toml:"admin"`       // "127.0.0.1:9901" (default), "unix:/path" or "" for none
	AdminToken Secret `toml:"admin_token"` // required if Admin is not on loopback or a unix socket
	Data       string `toml:"data"`        // data directory; default ".ergo", relative to the manifest
	Log        Log    `toml:"log"`

	// Watch swaps when the manifest or a policy's files change. Default true.
	Watch           bool     `toml:"watch"`
	KeepGenerations int      `toml:"keep_generations"` // for rollback; default 5, 0 to 100
	DrainTimeout    Duration `toml:"drain_timeout"`    // an old generation's exchanges are ended after it; default 10m
	ShutdownTimeout Duration `toml:"shutdown_timeout"` // default 30s

	// TrustedProxies are the networks whose Forwarded, X-Forwarded-* and
	// request-id fields are believed. Default none.
	TrustedProxies []netip.Prefix `toml:"trusted_proxies"`
	// Forwarded says what upstreams are told of the client: "x-forwarded"
	// (default), "forwarded" (RFC 7239), "both" or "none".
	Forwarded string `toml:"forwarded"`
	Via       string `toml:"via"`        // pseudonym in Via (RFC 9110, 7.6.3); default "ergo"; "" adds none
	RequestID string `toml:"request_id"` // field that carries the request id; default "x-request-id"

	MaxConnections int `toml:"max_connections"` // over all listeners; default 20000
}

// Log is the host's own log and the access log.
type Log struct {
	Level  string `toml:"level"`  // "debug", "info" (default), "warn", "error"
	Format string `toml:"format"` // "auto" (default: text on a terminal, else JSON), "text", "json"
	Access bool   `toml:"access"` // a line for each exchange; default true
}

// Telemetry is where traces and metrics go.
type Telemetry struct {
	// OTLP is the base URL of an OTLP/HTTP collector, such as
	// "http://127.0.0.1:4318"; empty (default) exports nothing.
	OTLP        string            `toml:"otlp"`
	OTLPHeaders map[string]Secret `toml:"otlp_headers"`
	// Sample is the share of exchanges without a sampled parent that are traced,
	// 0 (default) to 1.
	Sample      float64  `toml:"sample"`
	ServiceName string   `toml:"service_name"` // default "ergo"
	Interval    Duration `toml:"interval"`     // between metric exports; default 15s
	// Prometheus serves /metrics on the admin address. Default true.
	Prometheus bool `toml:"prometheus"`
}

// Listener is one address that clients connect to.
type Listener struct {
	Name    string `toml:"name"`    // default: the address
	Address string `toml:"address"` // "host:port"; port 0 picks a free one
	TLS     *TLS   `toml:"tls"`     // nil: HTTP/1.1 and h2c; else HTTP/1.1 and HTTP/2 by ALPN
	// Link makes it the service tier's door for edge hosts: it needs TLS with
	// client_auth "required", and only [service] answers on it.
	Link   bool         `toml:"link"`
	Limits ListenLimits `toml:"limits"`
}

// ListenLimits bound what a stranger can make a listener hold.
type ListenLimits struct {
	Connections   int      `toml:"connections"`    // default 10000
	Streams       int      `toml:"streams"`        // HTTP/2 streams of one connection; default 250
	HeaderBytes   Size     `toml:"header_bytes"`   // default 64KiB; 431 above
	HeaderCount   int      `toml:"header_count"`   // fields; default 128; 431 above
	HeaderTimeout Duration `toml:"header_timeout"` // whole request head; default 10s
	BodyTimeout   Duration `toml:"body_timeout"`   // longest silence while a body is read or written; default 60s
	IdleTimeout   Duration `toml:"idle_timeout"`   // between exchanges of a connection; default 120s
}

// TLS is what a listener needs for TLS. Files are read again when they change.
type TLS struct {
	Certificates []Certificate `toml:"certificates"` // the first is served when SNI fits none
	MinVersion   string        `toml:"min_version"`  // "1.2" (default) or "1.3"
	ClientAuth   string        `toml:"client_auth"`  // "none" (default), "optional", "required"
	ClientCA     string        `toml:"client_ca"`    // PEM file; needed unless ClientAuth is "none"
}

// Certificate is a PEM certificate chain and its key. Paths are relative to the
// manifest.
type Certificate struct {
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
}

// Upstream is a named pool of endpoints.
type Upstream struct {
	Endpoints []Endpoint `toml:"endpoints"` // exactly one of Endpoints and Discovery
	Discovery *Discovery `toml:"discovery"`
	// Protocol to endpoints: "auto" (default: HTTP/2 by ALPN on https, HTTP/1.1 on
	// http), "h1", "h2" (on http: with prior knowledge).
	Protocol string `toml:"protocol"`
	// Balance is "least-request" (default: two random choices), "round-robin",
	// "weighted", "maglev" or "random".
	Balance string `toml:"balance"`
	// Hash is the key of "maglev" when no policy set one: "client-ip" (default),
	// "header:NAME", "cookie:NAME", "path".
	Hash        string          `toml:"hash"`
	TLS         *UpstreamTLS    `toml:"tls"`
	Host        string          `toml:"host"` // "client" (default: pass on the request's authority), "endpoint", or a fixed authority
	Health      *Health         `toml:"health"`
	Outlier     Outlier         `toml:"outlier"`
	Breaker     UpstreamBreaker `toml:"breaker"`
	Retry       Retry           `toml:"retry"`
	Connections Connections     `toml:"connections"`
	SlowStart   Duration        `toml:"slow_start"`  // ramp of a new or recovered endpoint; default 0, none
	Timeout     Duration        `toml:"timeout"`     // until the response's head, all tries together; default 30s
	TryTimeout  Duration        `toml:"try_timeout"` // until the response's head, one try; default 0, only Timeout
}

// Endpoint is one address of an upstream. In TOML it is a URL string or a table.
type Endpoint struct {
	URL    string `toml:"url"`    // "http://host:port", "https://...", "ergo:echo"
	Weight int    `toml:"weight"` // 1 (default) to 1000
}

// Discovery finds endpoints at run time: exactly one of DNS and File.
type Discovery struct {
	DNS      string   `toml:"dns"`      // "http://name:port": one endpoint for each address of name
	File     string   `toml:"file"`     // a TOML file: endpoints = [...]; read again when it changes
	Interval Duration `toml:"interval"` // between DNS look-ups; default 10s
}

// UpstreamTLS is how https endpoints are verified and what they are shown.
type UpstreamTLS struct {
	CA         string `toml:"ca"`   // PEM file; default: the system's roots
	Cert       string `toml:"cert"` // client certificate for mutual TLS
	Key        string `toml:"key"`
	ServerName string `toml:"server_name"` // default: the endpoint's host
	// Insecure accepts any certificate. For tests.
	Insecure bool `toml:"insecure"`
}

// Health is an active probe of each endpoint.
type Health struct {
	Kind      string   `toml:"kind"`      // "http" (default), "grpc", "tcp"
	Path      string   `toml:"path"`      // http: default "/"
	Service   string   `toml:"service"`   // grpc: the service asked for; default "", the whole server
	Status    []int    `toml:"status"`    // http: statuses that are healthy; default 200 to 399
	Interval  Duration `toml:"interval"`  // default 5s, with 10 % jitter
	Timeout   Duration `toml:"timeout"`   // default 2s
	Healthy   int      `toml:"healthy"`   // successes to come back; default 2
	Unhealthy int      `toml:"unhealthy"` // failures to be taken out; default 3
}

// Outlier ejects an endpoint by how its exchanges end (passive health).
type Outlier struct {
	Failures   int      `toml:"failures"`    // consecutive; default 5, 0 turns it off
	Ejection   Duration `toml:"ejection"`    // first ejection, doubled each time up to 10 times; default 10s
	MaxEjected int      `toml:"max_ejected"` // percent of endpoints; default 50
	Status5xx  bool     `toml:"status_5xx"`  // count 502, 503 and 504 answers too; default true
}

// UpstreamBreaker opens when an upstream as a whole fails or is full.
type UpstreamBreaker struct {
	MaxRequests int      `toml:"max_requests"` // in flight over all endpoints; default 4096
	MaxPending  int      `toml:"max_pending"`  // waiting for a connection; default 1024
	FailureRate int      `toml:"failure_rate"` // percent in Window that opens it; default 0, off
	MinRequests int      `toml:"min_requests"` // in Window before FailureRate counts; default 20
	Window      Duration `toml:"window"`       // default 10s
	Open        Duration `toml:"open"`         // before a half-open probe; default 5s
}

// Retry says when a failed try is followed by another one, on another endpoint
// if there is one. Only idempotent methods, or requests of which nothing was
// sent, are tried again, and never after a byte of the response.
type Retry struct {
	Attempts   int      `toml:"attempts"`    // further tries; default 2, 0 to 10
	Status     []int    `toml:"status"`      // answers that count as failed; default [] (none)
	Backoff    Duration `toml:"backoff"`     // first pause, doubled, with full jitter; default 10ms
	Budget     int      `toml:"budget"`      // retries in percent of requests over 10 s; default 20
	MinRetries int      `toml:"min_retries"` // retries per second that are always allowed; default 3
	Body       Size     `toml:"body"`        // request bodies up to this are kept for replay; default 64KiB
}

// Connections bound the pool of one endpoint.
type Connections struct {
	Max            int      `toml:"max"`             // default 1024
	Idle           int      `toml:"idle"`            // kept open; default 256
	IdleTimeout    Duration `toml:"idle_timeout"`    // default 60s
	ConnectTimeout Duration `toml:"connect_timeout"` // default 2s
	MaxAge         Duration `toml:"max_age"`         // default 0, no bound
}

// Policy names an artifact and what it may do. A use of it in a stage adds the
// configuration.
type Policy struct {
	// Source is a folder with a policy.toml, or a .wasm file; relative to the
	// manifest.
	Source string   `toml:"source"`
	Digest string   `toml:"digest"` // "sha256:<hex>" that the module must have; empty: any
	Grants []string `toml:"grants"` // capability modules it may import; default none
	Limits Limits   `toml:"limits"`
}

// Limits bound what a policy may spend.
type Limits struct {
	Memory       Size     `toml:"memory"`        // of one instance; default 64MiB
	Time         Duration `toml:"time"`          // of one call, waits for the host not counted; default 100ms
	Instances    int      `toml:"instances"`     // default 256
	Wait         Duration `toml:"wait"`          // for a free instance; default 1s
	RequestBody  Size     `toml:"request_body"`  // that the policy may hold in memory; default 1MiB
	ResponseBody Size     `toml:"response_body"` // default 1MiB
	LogLines     int      `toml:"log_lines"`     // per second; default 100
}

// Tier is [edge] or [service].
type Tier struct {
	MaxInFlight  int         `toml:"max_in_flight"` // default 4096
	Queue        int         `toml:"queue"`         // that may wait for a place; default 1024
	QueueTimeout Duration    `toml:"queue_timeout"` // default 1s
	Timeout      Duration    `toml:"timeout"`       // until the response's head; default 60s
	Upstream     string      `toml:"upstream"`      // where an exchange goes if no policy chose; [service] only
	Breaker      TierBreaker `toml:"breaker"`
	Stages       []Stage     `toml:"stage"`
}

// TierBreaker opens when the tier fails too often and sheds with 503 while it is open.
type TierBreaker struct {
	FailureRate int      `toml:"failure_rate"` // percent; default 0, off
	MinRequests int      `toml:"min_requests"` // default 20
	Window      Duration `toml:"window"`       // default 10s
	Open        Duration `toml:"open"`         // default 5s
}

// Stage is a named, ordered group of policies.
type Stage struct {
	Name    string   `toml:"name"`
	When    *When    `toml:"when"`     // nil: always
	Combine string   `toml:"combine"`  // "all" (default) or "any": the first policy that lets pass is enough
	OnError *OnError `toml:"on_error"` // default: deny
	Timeout Duration `toml:"timeout"`  // the stage's request phases together; default 0, the tier's
	// MaxRequestBody answers 413 above it; default 0, no bound.
	MaxRequestBody Size  `toml:"max_request_body"`
	Uses           []Use `toml:"use"`
}

// Use is a policy with one configuration, in its place in a stage.
type Use struct {
	Policy  string         `toml:"policy"`
	Config  map[string]any `toml:"config"`   // checked against the policy's schema; env: and file: strings are resolved
	OnError *OnError       `toml:"on_error"` // default: the stage's; for a policy of family auth: deny
}

// When is a condition on a request. Fields are joined by and, the values of one
// field by or. In TOML each list may be a single string.
type When struct {
	Host   []string       `toml:"host"` // "example.com", "*.example.com"; without port or case
	Path   []string       `toml:"path"` // exact, or "*" for any run of characters at the end: "/api/*"
	Method []string       `toml:"method"`
	Header []HeaderMatch  `toml:"header"` // in TOML a table: name = "value", true (present) or false (absent)
	Client []netip.Prefix `toml:"client"` // networks of Exchange.ClientIP
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
	Hosts string `toml:"hosts"`
	// RetryAfter is told to clients when no service host is reachable; default 5s.
	RetryAfter Duration `toml:"retry_after"`
}
