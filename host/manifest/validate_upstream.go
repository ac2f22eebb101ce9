package manifest

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// EchoURL is the endpoint of the origin that is built into the binary.
const EchoURL = "ergo:echo"

func (v *validator) upstream(path string, u Upstream) {
	at := func(keys ...string) string { return place.Key(path, keys...) }
	switch {
	case len(u.Endpoints) > 0 && u.Discovery != nil:
		v.problem(at("discovery"), "stands beside endpoints", "keep one of endpoints and discovery")
	case u.Discovery != nil:
		v.discovery(at("discovery"), u.Discovery)
	case len(u.Endpoints) == 0 && !v.failed[at("discovery")]:
		v.problem(at("endpoints"), "there is none", `add endpoints = ["http://127.0.0.1:9000"], or discovery`)
	}
	v.endpoints(at("endpoints"), u.Endpoints)
	v.hash(at("hash"), &u)
	if u.TLS != nil {
		v.upstreamTLS(at("tls"), u.TLS)
		if !mayUse(&u, "https") {
			v.warn(at("tls"), "has no effect: no endpoint is https", "write https endpoints, or remove it")
		}
	}
	if u.Health != nil {
		v.health(at("health"), u.Health)
	}
	if u.Host != "client" && u.Host != "endpoint" && !isAuthority(u.Host) {
		v.problem(at("host"), fmt.Sprintf("%q is not an authority", u.Host), `write "client", "endpoint" or a host such as "example.com:8080"`)
	}
	if u.TryTimeout > u.Timeout {
		v.problem(at("try_timeout"), fmt.Sprintf("%s is longer than timeout (%s)", u.TryTimeout.D(), u.Timeout.D()), "write less, or raise timeout")
	}
	if u.Connections.Idle > u.Connections.Max && v.source.Has(at("connections", "idle")) {
		v.problem(at("connections", "idle"), fmt.Sprintf("%d is more than max (%d)", u.Connections.Idle, u.Connections.Max), "write less, or raise max")
	}
	v.statuses(at("retry", "status"), u.Retry.Status, 400, 599)
}

func (v *validator) endpoints(path string, endpoints []Endpoint) {
	seen := make(map[string]bool)
	for i, e := range endpoints {
		at := place.Element(path, i)
		if v.failed[at] || v.failed[place.Key(at, "url")] {
			continue
		}
		switch {
		case e.URL != EchoURL && !isEndpointURL(e.URL, false):
			v.problem(at, fmt.Sprintf("%q is not an endpoint", hideUser(e.URL)), `write "http://host:port", "https://host:port" or "`+EchoURL+`"`)
		case seen[e.URL]:
			v.problem(at, fmt.Sprintf("%q stands twice", e.URL), "remove one, or give one a higher weight")
		}
		seen[e.URL] = true
	}
}

// isEndpointURL reports whether s is a scheme, a host and perhaps a port.
func isEndpointURL(s string, needPort bool) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	bare := url.URL{Scheme: u.Scheme, Host: u.Host}
	return strings.EqualFold(bare.String(), s) && isAuthority(u.Host) && (!needPort || u.Port() != "")
}

// isAuthority reports whether s is a host and perhaps a port from 1 to 65535.
func isAuthority(s string) bool {
	u, err := url.Parse("http://" + s)
	if err != nil || u.Host != s || u.User != nil || !isHost(u.Hostname(), false) {
		return false
	}
	if u.Port() == "" {
		return !strings.HasSuffix(s, ":")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}

// hideUser takes user and password out of a URL that will be printed.
func hideUser(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	if i := strings.LastIndexByte(rest, '@'); found && i >= 0 {
		return scheme + "://" + redacted + rest[i:]
	}
	return s
}

func (v *validator) discovery(path string, d *Discovery) {
	switch {
	case d.DNS != "" && d.File != "":
		v.problem(path, "has both dns and file", "keep one")
	case d.DNS != "":
		if !isEndpointURL(d.DNS, true) {
			v.problem(place.Key(path, "dns"), fmt.Sprintf("%q cannot be looked up", hideUser(d.DNS)), `write "http://name:port" or "https://name:port"`)
		}
	case d.File != "":
		if _, err := loadEndpoints(d.File, v.settings); err != nil {
			v.problem(place.Key(path, "file"), "cannot be used: "+cause(err), `name a TOML file with endpoints = ["http://host:port"]`)
		}
	case !v.failed[place.Key(path, "dns")] && !v.failed[place.Key(path, "file")]:
		v.problem(path, "has neither dns nor file", `add dns = "http://name:port" or file = "endpoints.toml"`)
	}
}

// hash checks the form of the hash key, and that it has an effect.
func (v *validator) hash(path string, u *Upstream) {
	kind, name, named := strings.Cut(u.Hash, ":")
	switch {
	case !named && (kind == "client-ip" || kind == "path"):
	case named && (kind == "header" || kind == "cookie") && isToken(name):
	default:
		v.problem(path, fmt.Sprintf("%q is not a hash key", u.Hash), `write "client-ip", "header:NAME", "cookie:NAME" or "path"`)
	}
	if v.source.Has(path) && u.Balance != "maglev" {
		v.problem(path, fmt.Sprintf("has no effect with balance %q", u.Balance), `write balance = "maglev", or remove it`)
	}
}

func (v *validator) upstreamTLS(path string, t *UpstreamTLS) {
	switch {
	case t.Cert != "" && t.Key == "":
		v.problem(place.Key(path, "key"), "is missing beside cert", "add the PEM file of the certificate's key")
	case t.Key != "" && t.Cert == "":
		v.problem(place.Key(path, "cert"), "is missing beside key", "add the PEM file of the key's certificate")
	default:
		v.keyPair(path, t.Cert, t.Key)
	}
	if t.CA != "" {
		v.authorities(place.Key(path, "ca"), t.CA)
	}
	if t.Insecure {
		v.warn(place.Key(path, "insecure"), "any certificate is accepted", "name the authority in ca instead")
	}
}

func (v *validator) health(path string, h *Health) {
	if !strings.HasPrefix(h.Path, "/") {
		v.problem(place.Key(path, "path"), fmt.Sprintf("%q is not a path", h.Path), `write a path such as "/healthz"`)
	}
	v.statuses(place.Key(path, "status"), h.Status, 100, 599)
	owner := map[string]string{"path": "http", "status": "http", "service": "grpc"}
	for _, key := range []string{"path", "status", "service"} {
		if v.source.Has(place.Key(path, key)) && h.Kind != owner[key] {
			v.problem(place.Key(path, key), fmt.Sprintf("has no effect with kind %q", h.Kind), fmt.Sprintf("write kind = %q, or remove it", owner[key]))
		}
	}
}

// statuses checks a list of HTTP statuses.
func (v *validator) statuses(path string, statuses []int, lowest, highest int) {
	for i, status := range statuses {
		if status < lowest || status > highest {
			v.problem(place.Element(path, i), fmt.Sprintf("%d is not such a status", status), fmt.Sprintf("write a status from %d to %d", lowest, highest))
		}
	}
}

// mayUse reports whether an upstream has, or may discover, endpoints of scheme.
func mayUse(u *Upstream, scheme string) bool {
	for _, e := range u.Endpoints {
		if strings.HasPrefix(e.URL, scheme+"://") {
			return true
		}
	}
	return u.Discovery != nil && (u.Discovery.File != "" || strings.HasPrefix(u.Discovery.DNS, scheme+"://"))
}
