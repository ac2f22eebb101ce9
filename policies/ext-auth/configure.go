package main

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"

	"github.com/ergoproxy/ergo/sdk/go/config"
)

const (
	hourMS  = 3_600_000
	maxList = 64
)

// kept are fields that belong to one connection, or to the host.
var kept = []string{"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}

// told are fields that the service learns from the host alone.
const told = "x-forwarded-"

func newExtAuth(text []byte) (*extAuth, error) {
	c, err := config.Parse(text)
	if err != nil {
		return nil, err
	}
	e := &extAuth{
		service: service{
			url:          c.Text("url", ""),
			appendTarget: c.Bool("append_target", false),
			sameMethod:   choice(c, "method", "GET", "same") == "same",
			scheme:       choice(c, "scheme", "https", "http"),
			headers:      names(c, "request_headers", "authorization", "cookie"),
			timeoutMS:    int(c.Milliseconds("timeout", 2000, 1, 60_000)),
		},
		cache:           cache{ttlMS: c.Milliseconds("cache_ttl", 0, 0, hourMS), fingerprint: sha256.Sum256(text)},
		upstreamHeaders: names(c, "upstream_headers"),
		clientHeaders:   names(c, "client_headers", "www-authenticate", "location", "set-cookie", "cache-control", "retry-after"),
		subjectHeader:   strings.ToLower(c.Text("subject_header", "")),
		strip:           names(c, "strip", "authorization"),
		maxBody:         c.Int("max_body_bytes", 8192, 0, 65_536),
		failOpen:        choice(c, "on_failure", "deny", "allow") == "allow",
	}
	if rest := strings.TrimLeft(e.service.url, "abcdefghijklmnopqrstuvwxyz"); !strings.HasPrefix(rest, "://") {
		c.Refuse("url", "expected https://host/path, http://host/path or upstream://name/path")
	}
	if e.service.appendTarget && strings.ContainsAny(e.service.url, "?#") {
		c.Refuse("url", "expected no query, because the request's own comes after it")
	}
	for i, name := range c.Texts("cache_key") {
		p := partOf(name)
		if header, found := strings.CutPrefix(name, "header:"); p == nil || found && !slices.Contains(e.service.headers, strings.ToLower(header)) {
			c.Refuse("cache_key["+strconv.Itoa(i)+"]", "expected method, host, path, target, client, or header:NAME of request_headers")
		}
		e.cache.parts = append(e.cache.parts, p)
	}
	return e, c.Err()
}

func choice(c *config.Object, key, otherwise, other string) string {
	chosen := c.Text(key, otherwise)
	if chosen != otherwise && chosen != other {
		c.Refuse(key, "expected "+otherwise+" or "+other)
	}
	return chosen
}

// names reads a list of fields.
func names(c *config.Object, key string, otherwise ...string) []string {
	if !c.Has(key) {
		return otherwise
	}
	list := lower(c.Texts(key))
	if len(list) > maxList {
		c.Refuse(key, "expected at most "+strconv.Itoa(maxList)+" fields")
	}
	for i, name := range list {
		if name == "" || slices.Contains(kept, name) || strings.HasPrefix(name, told) || slices.Contains(list[:i], name) {
			c.Refuse(key+"["+strconv.Itoa(i)+"]", "expected a field, once, that is neither the connection's nor the host's")
		}
	}
	return list
}
