package manifest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ergoproxy/ergo/host/manifest/internal/place"
)

// kvCapability is the capability module by which a policy remembers.
const kvCapability = "ergo_kv"

func (v *validator) state() {
	r := v.m.State.Redis
	if v.m.Cache.Shared && r == nil && !v.failed["state.redis"] {
		v.problem("cache.shared", "is true, but there is no store to share", `add redis = { address = "host:port" } to [state], or remove it`)
	}
	if r == nil || v.failed["state.redis"] {
		return
	}
	const address = "state.redis.address"
	if socket, ok := strings.CutPrefix(r.Address, "unix:"); ok {
		if socket == "" {
			v.problem(address, "names no socket", `write "unix:/path"`)
		}
	} else if r.Address != "" {
		v.hostPort(address, r.Address)
	}
	if !place.IsBareKey(r.Prefix) {
		v.problem("state.redis.prefix", fmt.Sprintf("%q is not a prefix", r.Prefix), "write letters, digits, - and _")
	}
	if r.TLS != nil {
		v.upstreamTLS("state.redis.tls", r.TLS)
	}
	if r.Username != "" && r.Password.Reveal() == "" && !v.failed["state.redis.password"] {
		v.problem("state.redis.password", "is missing beside username", `add password = "env:NAME"`)
	}
}

func (v *validator) cache() {
	const disk, bytes = "cache.disk", "cache.disk_bytes"
	switch folder := v.m.Cache.Disk; folder {
	case "":
		if v.source.Has(bytes) {
			v.warn(bytes, "has no effect without disk", `add disk = "FOLDER", or remove it`)
		}
	case v.m.Host.Data, v.m.Host.CompiledDir():
		v.problem(disk, "is where the host keeps other things", "choose a folder that has nothing else in it")
	}
}

// remembers checks what a policy may remember.
func (v *validator) remembers(path string, p Policy) {
	at := place.Key(path, "kv")
	if v.source.Has(at) && !slices.Contains(p.Grants, kvCapability) {
		v.warn(at, "has no effect without the grant "+kvCapability, `add "`+kvCapability+`" to grants, or remove it`)
	}
	if p.KV.Store == "shared" && v.m.State.Redis == nil && !v.failed["state.redis"] {
		v.problem(place.Key(at, "store"), "is shared, but there is no store to share", `add redis = { address = "host:port" } to [state], or write "memory"`)
	}
	if p.KV.ValueBytes > p.KV.Bytes {
		v.problem(place.Key(at, "value_bytes"), "is more than bytes", "make it smaller, or bytes larger")
	}
}
