package shared

import (
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/ergoproxy/ergo/host/cache"
)

// record is a purge as the log has it. The zero value purges nothing, and begins a
// log.
type record struct {
	cache.Purge
	all  bool // everything, of all policies
	host string
}

func (r *record) idle() bool { return r.Space == "" && !r.all }

const (
	logRecords = 4096 // that the log keeps
	// maxSince is how many purges a copy may be behind: who takes it reads all of them.
	maxSince = 1024
)

func (p *Peers) logName() string { return p.base + "purges" }

// entry is what is appended to the log.
func (p *Peers) entry(r record) *redis.XAddArgs {
	flags := 0
	if r.Soft {
		flags |= 1
	}
	if r.all {
		flags |= 2
	}
	return &redis.XAddArgs{
		Stream: p.logName(), MaxLen: logRecords, Approx: true,
		Values: []any{"host", p.host, "space", r.Space, "kind", int(r.Kind), "text", r.Text, "flags", flags},
	}
}

// recordOf reads what entry wrote.
func recordOf(m redis.XMessage) (r record, ok bool) {
	text := func(name string) string {
		s, there := m.Values[name].(string)
		ok = ok && there
		return s
	}
	ok = true
	r.host, r.Space, r.Text = text("host"), text("space"), text("text")
	kind, kindErr := strconv.ParseUint(text("kind"), 10, 8)
	flags, flagsErr := strconv.ParseUint(text("flags"), 10, 8)
	r.Kind, r.Soft, r.all = cache.Kind(kind), flags&1 != 0, flags&2 != 0
	ok = ok && kindErr == nil && flagsErr == nil && flags < 4
	return r, ok && (r.idle() || r.all || r.Sound())
}
