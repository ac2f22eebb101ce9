package manifest

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// validator checks what single fields cannot say: names that must exist, values
// that exclude each other, files that must fit.
type validator struct {
	*decoder
	m *Manifest
}

// validate adds what is wrong with a decoded manifest to the decoder's problems,
// and what is hardly meant to the manifest's warnings.
func validate(d *decoder, m *Manifest) {
	v := validator{d, m}
	v.host()
	v.telemetry()
	v.state()
	v.cache()
	v.listeners()
	for _, name := range slices.Sorted(maps.Keys(m.Upstreams)) {
		if path := place.Key("upstream", name); !v.failed[path] {
			v.name(path, name)
			v.upstream(path, m.Upstreams[name])
		}
	}
	v.keys()
	for _, name := range slices.Sorted(maps.Keys(m.Policies)) {
		if path := place.Key("policy", name); !v.failed[path] {
			v.name(path, name)
			v.policy(path, m.Policies[name])
		}
	}
	v.tier("edge", &m.Edge)
	v.tier("service", &m.Service)
	v.forwarding()
	v.split()
	v.unused()
}

// warn records what is allowed but hardly meant.
func (v *validator) warn(path, wrong, right string) {
	v.m.warnings = append(v.m.warnings, v.source.Problem(path, wrong, right))
}

const tokenBytes = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// isToken reports whether s is a token (RFC 9110, 5.6.2), as field names and
// methods are.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, tokenBytes) == ""
}

// name checks a name that stands in metrics, paths and host calls.
func (v *validator) name(path, name string) {
	if !IsName(name) {
		v.problem(path, fmt.Sprintf("%q cannot be a name", name), "write 1 to 64 letters, digits, - and _")
	}
}

// IsName reports whether s can be a name: 1 to 64 letters, digits, - and _.
func IsName(s string) bool { return len(s) <= 64 && place.IsBareKey(s) }

func (v *validator) host() {
	h := &v.m.Host
	v.admin(h)
	if h.Via != "" && !isToken(h.Via) {
		v.problem("host.via", fmt.Sprintf("%q is not a pseudonym", h.Via), `write letters and digits without space, or "" for none`)
	}
	if !isToken(h.RequestID) {
		v.problem("host.request_id", fmt.Sprintf("%q is not a field name", h.RequestID), `write a name such as "x-request-id"`)
	}
}

// maxSocketPath is the shortest limit of a unix socket's path that a system has.
const maxSocketPath = 103

func (v *validator) admin(h *Host) {
	const path = "host.admin"
	if h.Admin == "" {
		return
	}
	if socket, ok := strings.CutPrefix(h.Admin, "unix:"); ok {
		switch {
		case socket == "":
			v.problem(path, "names no socket", `write "unix:/path/admin.sock"`)
		case len(socket) > maxSocketPath:
			v.problem(path, fmt.Sprintf("%s is longer than %d bytes", socket, maxSocketPath), "choose a shorter path for the socket")
		}
		return
	}
	host, ok := v.hostPort(path, h.Admin)
	if ok && !isLoopback(host) && h.AdminToken.Reveal() == "" && !v.failed["host.admin_token"] {
		v.problem("host.admin_token", "is missing although "+h.Admin+" is not on loopback", `add admin_token = "env:NAME", or listen on 127.0.0.1 or a unix socket`)
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// hostPort checks "host:port" and returns the host.
func (v *validator) hostPort(path, address string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && isHost(host, true) {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil && strconv.FormatUint(n, 10) == port {
			return host, true
		}
	}
	v.problem(path, fmt.Sprintf("%q is not an address", address), `write "host:port" with a port from 0 to 65535, such as "127.0.0.1:8080"`)
	return "", false
}

// isHost reports whether s is an IP address or a name that DNS can hold; empty
// only if that is allowed.
func isHost(s string, empty bool) bool {
	if s == "" {
		return empty
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return false
		}
	}
	return true
}

func (v *validator) telemetry() {
	t := &v.m.Telemetry
	if t.OTLP != "" {
		u, err := url.Parse(t.OTLP)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			v.problem("telemetry.otlp", "is not the URL of a collector", `write a URL such as "http://127.0.0.1:4318"`)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.OTLPHeaders)) {
		if !isToken(name) {
			v.problem(place.Key("telemetry.otlp_headers", name), fmt.Sprintf("%q is not a field name", name), `write a name such as "authorization"`)
		}
	}
}

func (v *validator) policy(path string, p Policy) {
	if hasScheme(p.Source) && !strings.HasPrefix(p.Source, Program) {
		v.problem(place.Key(path, "source"), fmt.Sprintf("%q is neither a folder nor a file", p.Source), `write the path of a folder with a policy.toml, of a .wasm file, or "plugin:" and that of a program`)
	}
	if hexDigits, ok := strings.CutPrefix(p.Digest, "sha256:"); p.Digest != "" && (!ok || len(hexDigits) != 64 || strings.Trim(hexDigits, "0123456789abcdef") != "") {
		v.problem(place.Key(path, "digest"), fmt.Sprintf("%q is not a digest", p.Digest), `write "sha256:" and 64 hexadecimal digits in lower case`)
	}
	v.grants(place.Key(path, "grants"), p.Grants)
	v.calls(path, p)
	v.secrets(place.Key(path, "secrets"), p)
	v.keyUses(path, p)
	v.remembers(path, p)
}

// grants checks that capabilities are known and named once.
func (v *validator) grants(path string, grants []string) {
	for i, grant := range grants {
		at := place.Element(path, i)
		switch {
		case slices.Contains(grants[:i], grant):
			v.problem(at, fmt.Sprintf("%q is granted twice", grant), "remove one")
		case v.capabilities != nil && !slices.Contains(v.capabilities, grant):
			v.problem(at, fmt.Sprintf("there is no capability %q", grant), DidYouMean(grant, v.capabilities))
		}
	}
}

// unused warns of what is declared and never reached.
func (v *validator) unused() {
	used := make(map[string]bool)
	for _, tier := range []*Tier{&v.m.Edge, &v.m.Service} {
		for _, stage := range tier.Stages {
			for _, use := range stage.Uses {
				used[use.Policy] = true
			}
		}
	}
	for _, key := range v.m.Keys {
		if key.Source != nil {
			used[key.Source.Policy] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.m.Policies)) {
		if !used[name] {
			v.warn(place.Key("policy", name), "no stage uses it", "use it in a stage, or remove it")
		}
	}
	v.unusedKeys()
	called := v.called()
	if v.mayRoute() {
		return // a policy chooses among all upstreams
	}
	for _, name := range slices.Sorted(maps.Keys(v.m.Upstreams)) {
		if name != v.m.Service.Upstream && !called[name] && (v.m.Split == nil || name != v.m.Split.Hosts) {
			v.warn(place.Key("upstream", name), "nothing is sent to it", "name it in service.upstream, grant a policy "+routeCapability+", or remove it")
		}
	}
}
