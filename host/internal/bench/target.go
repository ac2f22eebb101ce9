package main

import (
	"fmt"
	"strings"
)

// apiKey is the key that every target lets through.
const apiKey = "secret"

// maxMarks is the most headers that any target adds.
const maxMarks = 9

// job is what a target does to an exchange besides forwarding it.
type job struct {
	Keyed bool // 401 unless the header x-api-key is apiKey
	Marks int  // so many headers, see markName, are set to 1 on the request and on the response
	Cache caching
}

// caching is what a target's cache does with the exchanges that it sees.
type caching string

const (
	noCache caching = ""       // there is none
	hits    caching = "hit"    // it answers from what it has stored
	passes  caching = "passed" // it sends them on, and may not store the answers
)

// unstored is where the origin has every scenario's path once more, as what no cache may store.
const unstored = "/unstored"

// path is where a target with this job is asked for a scenario's path.
func (j job) path(path string) string {
	if j.Cache == passes {
		return unstored + path
	}
	return path
}

// markName is the i-th header that a job adds, counted from 0.
func markName(i int) string {
	if i == 0 {
		return "x-policy"
	}
	return fmt.Sprintf("x-policy-%d", i+1)
}

func (j job) String() string {
	var parts []string
	if j.Keyed {
		parts = append(parts, "key")
	}
	if j.Marks > 0 {
		parts = append(parts, fmt.Sprintf("%d+%d headers", j.Marks, j.Marks))
	}
	if j.Cache != noCache {
		parts = append(parts, "cache: "+string(j.Cache))
	}
	if len(parts) == 0 {
		return "forward"
	}
	return strings.Join(parts, ", ")
}

// target is one proxy in one configuration.
type target struct {
	name    string
	job     job
	tool    tool // its own path is empty when the target cannot run here
	prepare func(site) (command, error)
}

// site is where a target runs.
type site struct {
	Dir    string // a folder of its own
	Listen string // host:port to serve
	Origin string // host:port to forward to
	Job    job
}

// command is how to start a target once its folder is filled.
type command struct {
	argv []string
	env  []string // in addition to the harness's own
}

// direct is the target without a proxy: wrk talks to the origin.
const direct = "none"

// targets are all that can be compared, in the order of the table.
func targets(t toolbox, e ergo) []target {
	forward, full := job{}, job{Keyed: true, Marks: 1}
	all := []target{
		{name: direct, job: forward, tool: tool{path: direct, version: "wrk to origin"}},
		{name: "nginx-plain", job: forward, tool: t.nginx, prepare: nginxPeer(t.nginx, tool{})},
		{name: "nginx", job: full, tool: t.nginx, prepare: nginxPeer(t.nginx, tool{})},
		{name: "nginx-njs", job: full, tool: t.njs, prepare: nginxPeer(t.nginx, t.njs)},
		{name: "haproxy-plain", job: forward, tool: t.haproxy, prepare: haproxyPeer(t.haproxy, false)},
		{name: "haproxy", job: full, tool: t.haproxy, prepare: haproxyPeer(t.haproxy, false)},
		{name: "haproxy-lua", job: full, tool: t.haproxyLua, prepare: haproxyPeer(t.haproxyLua, true)},
		{name: "caddy-plain", job: forward, tool: t.caddy, prepare: caddyPeer(t.caddy)},
		{name: "caddy", job: full, tool: t.caddy, prepare: caddyPeer(t.caddy)},
	}
	for _, policies := range []int{0, 1, 2, 5, 10} {
		all = append(all, e.target(policies))
	}
	return append(all, e.cache("ergo-hit", hits), e.cache("ergo-pass", passes))
}

// family is the part of a target's name before its variant.
func (t target) family() string {
	family, _, _ := strings.Cut(t.name, "-")
	return family
}

// selectTargets keeps those that only names: an exact name first, else a whole family. Empty: all.
func selectTargets(all []target, only []string) ([]target, error) {
	if len(only) == 0 {
		return all, nil
	}
	names, wanted := map[string]bool{}, map[string]bool{}
	var known []string
	for _, t := range all {
		names[t.name] = true
		known = append(known, t.name)
	}
	for _, item := range only {
		matched := false
		for _, t := range all {
			if t.name == item || !names[item] && t.family() == item {
				wanted[t.name], matched = true, true
			}
		}
		if !matched {
			return nil, fmt.Errorf("%w: -only names %q: want of %s", errUsage, item, strings.Join(known, ", "))
		}
	}
	var selected []target
	for _, t := range all {
		if wanted[t.name] {
			selected = append(selected, t)
		}
	}
	return selected, nil
}
