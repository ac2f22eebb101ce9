package main

import (
	"slices"
	"strconv"
	"strings"

	guest "github.com/ergoproxy/ergo/sdk/go"
	"github.com/ergoproxy/ergo/sdk/go/config"
)

// guard is the policy as configured. A limit of 0 is none.
type guard struct {
	methods      []string // empty: all
	allow        string   // the methods, as the field Allow lists them
	hosts        []string // empty: all
	contentTypes []string // empty: all
	denied       []pattern
	path         pathRules

	maxTarget      int
	maxParameters  int
	maxFields      int
	maxHeaderBytes int
	maxBody        int
	requireLength  bool
}

// refusal is why a request is refused: what the client is told, and what only the
// log is.
type refusal struct {
	status int
	text   string
	detail string
}

// checks run in this order; the first refusal counts. What costs least comes first.
var checks = [...]func(*guard, guest.Request) *refusal{
	(*guard).checkMethod, (*guard).checkTarget, (*guard).checkHost, (*guard).checkBody, (*guard).checkHeader,
}

func newGuard(text []byte) (*guard, error) {
	const noLimit = 1<<31 - 1
	c, err := config.Parse(text)
	if err != nil {
		return nil, err
	}
	path := c.Object("path")
	g := &guard{
		methods:      c.Texts("methods"),
		hosts:        lower(c.Texts("hosts")),
		contentTypes: lower(c.Texts("content_types")),
		denied:       compile(path.Texts("deny")),
		path: pathRules{
			encodedSlash:  path.Bool("allow_encoded_slash", false),
			emptySegments: path.Bool("allow_empty_segments", true),
		},
		maxTarget:      c.Int("max_target_bytes", 0, 1, noLimit),
		maxParameters:  c.Int("max_query_parameters", 0, 1, noLimit),
		maxFields:      c.Int("max_header_fields", 0, 1, noLimit),
		maxHeaderBytes: c.Int("max_header_bytes", 0, 1, noLimit),
		maxBody:        c.Int("max_body_bytes", 0, 1, noLimit),
		requireLength:  c.Bool("require_length", false),
	}
	g.allow = strings.Join(g.methods, ", ")
	return g, c.Err()
}

func lower(texts []string) []string {
	for i, text := range texts {
		texts[i] = strings.ToLower(text)
	}
	return texts
}

func (g *guard) request(request guest.Request) guest.Flow {
	for _, check := range checks {
		if r := check(g, request); r != nil {
			return g.refuse(request, r)
		}
	}
	return guest.Continue
}

func (g *guard) refuse(request guest.Request, r *refusal) guest.Flow {
	if guest.LogEnabled(guest.Debug) {
		guest.Log(guest.Debug, "refused with "+strconv.Itoa(r.status)+": "+r.detail)
	}
	reply := request.Answer(r.status)
	if r.status == 405 {
		reply.Header("allow", g.allow)
	}
	return reply.Text(r.text + "\n")
}

func (g *guard) checkMethod(request guest.Request) *refusal {
	if len(g.methods) == 0 {
		return nil
	}
	if method := request.Method(); !slices.Contains(g.methods, method) {
		return &refusal{405, "this method is not allowed", "method " + strconv.Quote(method)}
	}
	return nil
}

func (g *guard) checkTarget(request guest.Request) *refusal {
	target := request.Target()
	if g.maxTarget > 0 && len(target) > g.maxTarget {
		return &refusal{414, "the target is too long", "target of " + strconv.Itoa(len(target)) + " bytes"}
	}
	path, query, _ := strings.Cut(target, "?")
	decoded, problem := g.path.read(path)
	if problem != "" {
		return &refusal{400, "the path is not acceptable", problem}
	}
	for _, pattern := range g.denied {
		if pattern.matches(decoded) {
			return &refusal{404, "there is nothing here", "path matches " + string(pattern)}
		}
	}
	if g.maxParameters > 0 && query != "" && strings.Count(query, "&")+1 > g.maxParameters {
		return &refusal{400, "there are too many query parameters", "query parameters"}
	}
	return nil
}

func (g *guard) checkHost(request guest.Request) *refusal {
	if len(g.hosts) == 0 {
		return nil
	}
	values := request.Header().Values("host")
	if len(values) == 1 && slices.Contains(g.hosts, bareHost(values[0])) {
		return nil
	}
	return &refusal{421, "this host is not served here", "host " + strconv.Quote(strings.Join(values, ", "))}
}

// bareHost returns a host in lower case, without port and without the root's dot.
func bareHost(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		host = host[:colon]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (g *guard) checkBody(request guest.Request) *refusal {
	if g.maxBody == 0 && !g.requireLength && len(g.contentTypes) == 0 {
		return nil
	}
	lengths := request.Header().Values("content-length")
	length := 0
	for _, text := range lengths {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return &refusal{400, "the content length is not a number", "content-length " + strconv.Quote(text)}
		}
		length = max(length, int(n))
	}
	if g.maxBody > 0 && length > g.maxBody {
		return &refusal{413, "the body is too large", "body of " + strconv.Itoa(length) + " bytes"}
	}
	unknown := len(lengths) == 0 && wantsBody(request.Method())
	if g.requireLength && unknown {
		return &refusal{411, "a content length is required", "no content-length"}
	}
	types := request.Header().Values("content-type")
	if len(g.contentTypes) == 0 || length == 0 && !unknown && len(types) == 0 {
		return nil
	}
	if len(types) != 1 || !slices.Contains(g.contentTypes, mediaType(types[0])) {
		return &refusal{415, "this content type is not accepted", "content-type " + strconv.Quote(strings.Join(types, ", "))}
	}
	return nil
}

// wantsBody says of which methods to expect a body when no length is known; the
// host keeps the framing to itself.
func wantsBody(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// mediaType returns a content type without parameters, in lower case.
func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// checkHeader counts fields and bytes as HTTP/2 does (RFC 9113 section 6.5.2), but
// for its 32 bytes of overhead.
func (g *guard) checkHeader(request guest.Request) *refusal {
	if g.maxFields == 0 && g.maxHeaderBytes == 0 {
		return nil
	}
	fields, bytes := 0, 0
	for _, name := range request.Header().Names() {
		for _, value := range request.Header().Values(name) {
			fields++
			bytes += len(name) + len(value)
		}
	}
	if g.maxFields > 0 && fields > g.maxFields {
		return &refusal{431, "there are too many header fields", strconv.Itoa(fields) + " header fields"}
	}
	if g.maxHeaderBytes > 0 && bytes > g.maxHeaderBytes {
		return &refusal{431, "the header is too large", "header of " + strconv.Itoa(bytes) + " bytes"}
	}
	return nil
}
