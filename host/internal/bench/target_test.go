package main

import (
	"errors"
	"strings"
	"testing"
)

func targetNames(all []target) string {
	var names []string
	for _, t := range all {
		names = append(names, t.name)
	}
	return strings.Join(names, " ")
}

func TestSelectTargets(t *testing.T) {
	all := targets(toolbox{}, ergo{repository: t.TempDir()})
	for only, want := range map[string]string{
		"":                targetNames(all),
		"nginx":           "nginx",
		"ergo":            "ergo-0 ergo-1 ergo-2 ergo-5 ergo-10 ergo-hit ergo-pass",
		"ergo-10,none":    "none ergo-10",
		"caddy-plain":     "caddy-plain",
		"haproxy-lua,hap": "error",
		"ergo-":           "error",
	} {
		got, err := selectTargets(all, splitList(only))
		if want == "error" {
			if !errors.Is(err, errUsage) {
				t.Errorf("-only %q: error %v, want wrong usage", only, err)
			}
			continue
		}
		if err != nil || targetNames(got) != want {
			t.Errorf("-only %q selects %q, %v, want %q", only, targetNames(got), err, want)
		}
	}
}

func TestTargetsWithoutToolsAreNotInstalled(t *testing.T) {
	for _, target := range targets(toolbox{}, ergo{repository: t.TempDir()}) {
		ours := target.name == direct || isErgo(target.name)
		if target.tool.installed() != ours {
			t.Errorf("%s installed: %v, want %v", target.name, target.tool.installed(), ours)
		}
	}
}

func TestJobString(t *testing.T) {
	for want, j := range map[string]job{
		"forward":          {},
		"key":              {Keyed: true},
		"key, 4+4 headers": {Keyed: true, Marks: 4},
		"cache: hit":       {Cache: hits},
	} {
		if got := j.String(); got != want {
			t.Errorf("%+v is %q, want %q", j, got, want)
		}
	}
}

func TestVersions(t *testing.T) {
	for printed, want := range map[string]string{
		"nginx version: nginx/1.22.1\n": "nginx/1.22.1",
		"HAProxy version 2.6.12-1 2026/10/17 - https://haproxy.org/\nStatus: long-term": "HAProxy version 2.6.12-1",
		"wrk 4.1.0 [epoll] Copyright (C) 2012 Will Glozer":                              "wrk 4.1.0",
		"": "",
	} {
		if got := shortVersion(printed); got != want {
			t.Errorf("%q is %q, want %q", printed, got, want)
		}
	}
	configured := "configure arguments: --prefix=/usr --modules-path=/usr/lib/nginx/modules --with-x"
	if got := nginxModule(configured, "js.so"); got != "/usr/lib/nginx/modules/js.so" {
		t.Errorf("module is at %q", got)
	}
	if got := nginxModule("no modules", "js.so"); got != "" {
		t.Errorf("without modules one is at %q", got)
	}
	if got := luaVersion("x\nBuilt with Lua version : Lua 5.3.6\n"); got != "5.3.6" {
		t.Errorf("Lua is %q", got)
	}
	if got := luaVersion("Built without Lua support"); got != "" {
		t.Errorf("without Lua it is %q", got)
	}
}
