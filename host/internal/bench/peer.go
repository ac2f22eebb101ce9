package main

import (
	"embed"
	"os"
	"os/user"
	"path/filepath"
	"text/template"
)

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.New("").
	Funcs(template.FuncMap{"mark": markName, "variable": nginxVariable, "key": func() string { return apiKey }, "connections": func() int { return peerConnections }}).
	ParseFS(templateFiles, "templates/*.tmpl"))

// peerSite is what the configuration templates of the peers see.
type peerSite struct {
	site
	Module string // nginx: the njs module to load; empty without njs
	User   string // nginx: whom the workers run as; empty: whoever started it
	Script bool   // do the job in the peer's scripting language
}

// peerConnections is how many a peer is configured for: those of the scenario idle and some.
const peerConnections = 8000

// render writes the named template, filled with data, to path.
func render(path, name string, data any) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := templates.ExecuteTemplate(file, name, data); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// nginxPeer does the job in nginx's own directives, or in JavaScript where njs is installed and given.
func nginxPeer(nginx, njs tool) func(site) (command, error) {
	return func(s site) (command, error) {
		data := peerSite{site: s, Module: njs.path, Script: njs.installed(), User: nginxUser()}
		if err := render(filepath.Join(s.Dir, "policy.js"), "nginx.js.tmpl", data); err != nil {
			return command{}, err
		}
		return nginxCommand(nginx, s.Dir, "nginx.conf.tmpl", data)
	}
}

// nginxCommand writes the configuration and starts nginx such that it touches nothing outside dir.
func nginxCommand(nginx tool, dir, name string, data any) (command, error) {
	config := filepath.Join(dir, "nginx.conf")
	if err := render(config, name, data); err != nil {
		return command{}, err
	}
	return command{argv: []string{nginx.path, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", config}}, nil
}

// nginxUser keeps nginx's workers from becoming somebody who cannot read the temporary folder. nginx changes
// its user only when root starts it.
func nginxUser() string {
	if os.Geteuid() != 0 {
		return ""
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// haproxyPeer does the job in haproxy's own rules, or in Lua.
func haproxyPeer(haproxy tool, lua bool) func(site) (command, error) {
	return func(s site) (command, error) {
		data := peerSite{site: s, Script: lua}
		if err := render(filepath.Join(s.Dir, "policy.lua"), "haproxy.lua.tmpl", data); err != nil {
			return command{}, err
		}
		config := filepath.Join(s.Dir, "haproxy.cfg")
		if err := render(config, "haproxy.cfg.tmpl", data); err != nil {
			return command{}, err
		}
		return command{argv: []string{haproxy.path, "-db", "-f", config}}, nil
	}
}

func caddyPeer(caddy tool) func(site) (command, error) {
	return func(s site) (command, error) {
		config := filepath.Join(s.Dir, "Caddyfile")
		if err := render(config, "Caddyfile.tmpl", peerSite{site: s}); err != nil {
			return command{}, err
		}
		return command{
			argv: []string{caddy.path, "run", "--adapter", "caddyfile", "--config", config},
			env:  []string{"HOME=" + s.Dir, "XDG_DATA_HOME=" + s.Dir, "XDG_CONFIG_HOME=" + s.Dir},
		}, nil
	}
}
