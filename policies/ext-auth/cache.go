package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	guest "github.com/ergoproxy/ergo/sdk/go"
)

// maxDecision bounds what is kept of one decision.
const maxDecision = 16 << 10

// cache keeps decisions that let requests pass, where all instances find them.
type cache struct {
	ttlMS       uint64 // 0: nothing is kept
	fingerprint [sha256.Size]byte
	parts       []part // what tells requests apart; nil: all that the service is told
}

// part is one thing that tells requests apart.
type part func(question) []string

// partOf reads the name of a part; nil if there is none of that name.
func partOf(name string) part {
	if header, found := strings.CutPrefix(name, "header:"); found && header != "" {
		header = strings.ToLower(header)
		return func(q question) []string { return decision(q.headers).values(header) }
	}
	return map[string]part{
		"method": func(q question) []string { return []string{q.method} },
		"host":   func(q question) []string { return []string{strings.ToLower(q.host)} },
		"path":   func(q question) []string { path, _, _ := strings.Cut(q.target, "?"); return []string{path} },
		"target": func(q question) []string { return []string{q.target} },
		"client": func(q question) []string { return []string{q.client} },
	}[name]
}

// everything is what the service is told.
func everything(q question) []string {
	return append([]string{q.method, q.host, q.target, q.client}, q.headers...)
}

// key is the name of a question's decision: a digest of what tells requests apart
// and of the configuration, so that no other one's decisions count.
func (c *cache) key(q question) string {
	if c.ttlMS == 0 {
		return ""
	}
	parts := c.parts
	if parts == nil {
		parts = []part{everything}
	}
	text := c.fingerprint[:len(c.fingerprint):len(c.fingerprint)]
	for _, part := range parts {
		values := part(q)
		text = binary.LittleEndian.AppendUint32(text, uint32(len(values)))
		for _, value := range values {
			text = append(binary.LittleEndian.AppendUint32(text, uint32(len(value))), value...)
		}
	}
	sum := sha256.Sum256(text)
	return "decision:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// get finds a decision. Where nothing can be found out the service is asked.
func (c *cache) get(key string) (decision, bool) {
	if key == "" {
		return nil, false
	}
	text, _, err := guest.KVGet(key)
	if err != nil {
		return nil, false
	}
	if len(text) == 0 {
		return decision{}, true
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), true
}

// put keeps a decision as long as it and the configuration say. A store that is full
// keeps nothing: the service is asked again.
func (c *cache) put(key string, d decision, a *guest.Answered) {
	ttlMS := min(c.ttlMS, lifetimeMS(a, c.ttlMS))
	if key == "" || ttlMS == 0 {
		return
	}
	var text strings.Builder
	for _, part := range d {
		text.WriteString(part)
		text.WriteByte(0)
	}
	if text.Len() <= maxDecision {
		_, _ = guest.KVSet(key, []byte(text.String()), ttlMS)
	}
}

// lifetimeMS is how long a shared cache may use an answer (RFC 9111 section 4.2.1),
// or otherwise if it does not say. What cannot be read is no permission.
func lifetimeMS(a *guest.Answered, otherwise uint64) uint64 {
	lifetime, shared := otherwise, false
	for _, directive := range strings.Split(strings.Join(a.Values("cache-control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache", "private":
			return 0
		case "max-age", "s-maxage":
			if shared && name == "max-age" {
				continue
			}
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 32)
			if err != nil {
				return 0
			}
			lifetime, shared = seconds*1000, name == "s-maxage"
		}
	}
	for _, age := range a.Values("age") {
		seconds, err := strconv.ParseUint(age, 10, 32)
		if err != nil || seconds*1000 >= lifetime {
			return 0
		}
		lifetime -= seconds * 1000
	}
	return lifetime
}
