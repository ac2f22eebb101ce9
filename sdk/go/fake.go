//go:build !wasip1

package guest

import (
	"slices"
	"strings"
)

// Field is one header or trailer field.
type Field struct{ Name, Value string }

// Fake is an exchange and the host around it, for tests of policies on the
// machine's own platform. Set the fields, [Fake.Run] a phase, look at the fields.
// It keeps to the ABI's buffer protocol but does not know phases: what a policy
// may do when is for tests in the real host.
type Fake struct {
	Method, Target, Protocol, Source string
	Status                           int
	// RequestHeader and the others are in order, with names as they were given.
	RequestHeader, ResponseHeader, RequestTrailer, ResponseTrailer []Field
	RequestBody, ResponseBody                                      string
	Features                                                       Features
	Log                                                            []string // messages of Log and Emit
	Annotations                                                    []Field

	Upstreams         []string // those that exist
	Upstream, HashKey string
	Fallbacks         []string // of Upstream
	TimeoutMS         uint32
	Retries           uint32

	// Random answers draws of randomness; nil: all are zeros.
	Random func([]byte)

	// Fetch answers calls to other hosts; nil: none is granted. Its error is one of
	// this package's.
	Fetch    func(Call) (Answered, error)
	calls    map[uint32]fakeCall
	lastCall uint32

	Metrics  []FakeMetric // in the order in which they were defined
	Secrets  map[string]string
	Clock    FakeClock
	Identity FakeIdentity
	Secure   bool                  // the client came over TLS
	KV       map[string]*FakeEntry // what ergo_kv holds
	KVDown   bool                  // its store is not available
	Cache    FakeCache             // what ergo_cache holds
	Keys     []FakeKey             // that ergo_crypto uses
	// ContentKeys are keys for content that are not dropped: what each encrypts with.
	ContentKeys    map[uint32]string
	lastContentKey uint32

	kvVersion uint64 // the last one drawn
}

// NewFake makes an exchange with this request and nothing else.
func NewFake(method, target string, header ...Field) *Fake {
	return &Fake{
		Method: method, Target: target, Protocol: "HTTP/1.1", Source: "192.0.2.1:1234",
		Status: 200, RequestHeader: header, Clock: FakeClock{Remaining: 1<<63 - 1},
	}
}

// current is the host of the running test: the functions of a wasm module have
// nothing else to find it by. Tests that use it must not run in parallel.
var current *Fake

// Run has act reach this host through the functions of the package.
func (f *Fake) Run(act func()) {
	current = f
	defer func() { current = nil }()
	act()
}

// Values returns every value of a field.
func Values(fields []Field, name string) []string {
	var values []string
	for _, field := range fields {
		if strings.EqualFold(field.Name, name) {
			values = append(values, field.Value)
		}
	}
	return values
}

func (f *Fake) fields(kind uint32) *[]Field {
	return [...]*[]Field{&f.RequestHeader, &f.ResponseHeader, &f.RequestTrailer, &f.ResponseTrailer}[kind]
}

func (f *Fake) body(kind uint32) *string {
	return [...]*string{&f.RequestBody, &f.ResponseBody}[kind]
}

// give follows the buffer protocol.
func give(value string, buf []byte) uint32 {
	if len(value) <= len(buf) {
		copy(buf, value)
	}
	return uint32(len(value))
}

func giveList(values []string, buf []byte) uint64 {
	joined := strings.Join(append(slices.Clone(values), ""), "\x00")
	return uint64(len(values))<<32 | uint64(give(joined, buf))
}

func getMethod(buf []byte) uint32          { return give(current.Method, buf) }
func getURI(buf []byte) uint32             { return give(current.Target, buf) }
func getProtocolVersion(buf []byte) uint32 { return give(current.Protocol, buf) }
func getSourceAddr(buf []byte) uint32      { return give(current.Source, buf) }
func getUpstream(buf []byte) uint32        { return give(current.Upstream, buf) }
func getStatusCode() uint32                { return uint32(current.Status) }
func setMethod(method string)              { current.Method = method }
func setURI(uri string)                    { current.Target = uri }
func setStatusCode(status uint32)          { current.Status = int(status) }
func writeLog(_ int32, message string)     { current.Log = append(current.Log, message) }
func logEnabled(int32) uint32              { return 1 }

func enableFeatures(features uint32) uint32 {
	current.Features |= Features(features)
	return uint32(current.Features)
}

func getHeaderNames(kind uint32, buf []byte) uint64 {
	var names []string
	for _, field := range *current.fields(kind) {
		if name := strings.ToLower(field.Name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return giveList(names, buf)
}

func getHeaderValues(kind uint32, name string, buf []byte) uint64 {
	return giveList(Values(*current.fields(kind), name), buf)
}

func setHeaderValue(kind uint32, name, value string) {
	removeHeader(kind, name)
	addHeaderValue(kind, name, value)
}

func addHeaderValue(kind uint32, name, value string) {
	fields := current.fields(kind)
	*fields = append(*fields, Field{name, value})
}

func removeHeader(kind uint32, name string) {
	fields := current.fields(kind)
	*fields = slices.DeleteFunc(*fields, func(field Field) bool { return strings.EqualFold(field.Name, name) })
}

func readBody(kind uint32, buf []byte) uint64 {
	body := current.body(kind)
	length := copy(buf, *body)
	*body = (*body)[length:]
	ended := uint64(0)
	if *body == "" {
		ended = 1
	}
	return ended<<32 | uint64(length)
}

func writeBody(kind uint32, body []byte) { *current.body(kind) += string(body) }

func setUpstream(name string) uint32 {
	if !slices.Contains(current.Upstreams, name) {
		return 1
	}
	current.Upstream, current.Fallbacks = name, nil
	return 0
}

func addFallback(name string) uint32 {
	switch {
	case !slices.Contains(current.Upstreams, name):
		return 1
	case len(current.Fallbacks) == 4:
		return 11
	}
	current.Fallbacks = append(current.Fallbacks, name)
	return 0
}

func drawRandom(b []byte) {
	clear(b)
	if current.Random != nil {
		current.Random(b)
	}
}

func setHashKey(key string) uint32 {
	current.HashKey = key
	return 0
}

func setTimeout(milliseconds uint32) uint32 {
	current.TimeoutMS = milliseconds
	return 0
}

func setRetries(count uint32) uint32 {
	current.Retries = count
	return 0
}

func emit(_ int32, message, fields string) {
	line := message + " " + strings.TrimRight(strings.ReplaceAll(fields, "\x00", " "), " ")
	current.Log = append(current.Log, line)
}

func annotate(key, value string) {
	current.Annotations = append(current.Annotations, Field{key, value})
}
