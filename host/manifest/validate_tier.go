package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// routeCapability is the capability module by which a policy chooses an
// upstream.
const routeCapability = "ergo_route"

func (v *validator) tier(name string, t *Tier) {
	seen := make(map[string]bool)
	for i := range t.Stages {
		stage, path := &t.Stages[i], StagePath(name, i)
		if stage.Name != "" {
			v.name(place.Key(path, "name"), stage.Name)
		}
		if seen[stage.Name] {
			v.problem(place.Key(path, "name"), fmt.Sprintf("%q names another stage of this tier too", stage.Name), "give each stage a name of its own")
		}
		seen[stage.Name] = true
		if stage.When != nil {
			v.when(place.Key(path, "when"), stage.When)
		}
		for j := range stage.Uses {
			v.policyName(place.Key(UsePath(name, i, j), "policy"), stage.Uses[j].Policy)
		}
		if stage.Timeout > t.Timeout {
			v.problem(place.Key(path, "timeout"), fmt.Sprintf("%s is longer than the tier's (%s)", stage.Timeout.D(), t.Timeout.D()), "write less, or raise "+name+".timeout")
		}
	}
}

// policyName checks that a policy of this name is declared.
func (v *validator) policyName(path, name string) {
	if _, ok := v.m.Policies[name]; !ok && !v.failed["policy"] {
		v.problem(path, fmt.Sprintf("there is no policy %q", name), DidYouMean(name, slices.Collect(maps.Keys(v.m.Policies))))
	}
}

// upstreamName checks that an upstream of this name is declared.
func (v *validator) upstreamName(path, name string) bool {
	_, ok := v.m.Upstreams[name]
	if !ok && !v.failed["upstream"] {
		v.problem(path, fmt.Sprintf("there is no upstream %q", name), DidYouMean(name, slices.Collect(maps.Keys(v.m.Upstreams))))
	}
	return ok
}

// forwarding checks that every exchange has somewhere to go.
func (v *validator) forwarding() {
	if v.m.Edge.Upstream != "" {
		v.problem("edge.upstream", "the edge forwards to the service tier only", "move it to [service]")
	}
	switch {
	case v.m.Service.Upstream != "":
		v.upstreamName("service.upstream", v.m.Service.Upstream)
	case !v.mayRoute() && !v.failed["service"]:
		v.problem("service.upstream", "is missing, and no policy may choose an upstream", `add upstream = "NAME" to [service], or grant a policy "`+routeCapability+`"`)
	}
}

// mayRoute reports whether a policy in use may choose the upstream.
func (v *validator) mayRoute() bool {
	for _, tier := range []*Tier{&v.m.Edge, &v.m.Service} {
		for _, stage := range tier.Stages {
			for _, use := range stage.Uses {
				if slices.Contains(v.m.Policies[use.Policy].Grants, routeCapability) {
					return true
				}
			}
		}
	}
	return false
}

// split checks that edge hosts and service hosts prove to each other who they
// are.
func (v *validator) split() {
	if v.m.Split == nil || v.m.Split.Hosts == "" || !v.upstreamName("split.hosts", v.m.Split.Hosts) {
		return
	}
	path, u := place.Key("upstream", v.m.Split.Hosts), v.m.Upstreams[v.m.Split.Hosts]
	if mayUse(&u, "http") && (u.Discovery == nil || u.Discovery.File == "") || !mayUse(&u, "https") {
		v.problem("split.hosts", fmt.Sprintf("upstream %q is not https throughout", v.m.Split.Hosts), "write https endpoints: the tiers speak mutual TLS")
	}
	if u.TLS == nil || u.TLS.Cert == "" {
		v.problem(place.Key(path, "tls"), "has no client certificate, which service hosts ask for", "add cert and key")
	}
	if u.Protocol == "h1" {
		v.problem(place.Key(path, "protocol"), "the tiers speak HTTP/2", `write "h2" or "auto"`)
	}
}

// when checks the patterns of a condition.
func (v *validator) when(path string, w *When) {
	if len(w.Host)+len(w.Path)+len(w.Method)+len(w.Header)+len(w.Client) == 0 && w.Not == nil && !v.anyFailed(path) {
		v.problem(path, "is empty", "write a condition, or remove it")
	}
	v.patterns(place.Key(path, "host"), w.Host, isHostPattern, `a host such as "example.com" or "*.example.com", without port`)
	v.patterns(place.Key(path, "path"), w.Path, isPathPattern, `a path such as "/login" or "/api/*"`)
	v.patterns(place.Key(path, "method"), w.Method, isMethod, `a method such as "GET"`)
	for _, h := range w.Header {
		at := place.Key(place.Key(path, "header"), h.Name)
		if !isToken(h.Name) {
			v.problem(at, fmt.Sprintf("%q is not a field name", h.Name), `write a name such as "content-type"`)
		}
		if strings.Contains(strings.TrimSuffix(h.Value, "*"), "*") {
			v.problem(at, fmt.Sprintf("%q has a * that is not at its end", h.Value), `write a value such as "text/*"`)
		}
	}
	if w.Not != nil {
		v.when(place.Key(path, "not"), w.Not)
	}
}

// anyFailed reports whether there is a problem below path.
func (v *validator) anyFailed(path string) bool {
	for failed := range v.failed {
		if strings.HasPrefix(failed, path+".") {
			return true
		}
	}
	return false
}

// patterns checks each string of a list that may be written without brackets.
func (v *validator) patterns(path string, patterns []string, valid func(string) bool, want string) {
	for i, pattern := range patterns {
		if at := place.Element(path, i); !valid(pattern) {
			if !v.source.Has(at) {
				at = path
			}
			v.problem(at, fmt.Sprintf("%q cannot match", pattern), "write "+want)
		}
	}
}

func isHostPattern(s string) bool {
	return isHost(strings.Trim(strings.TrimPrefix(s, "*."), "[]"), false)
}

func isPathPattern(s string) bool {
	return (strings.HasPrefix(s, "/") || s == "*") && !strings.ContainsAny(s, "?#") && !strings.Contains(strings.TrimSuffix(s, "*"), "*")
}

func isMethod(s string) bool { return isToken(s) && s == strings.ToUpper(s) }
