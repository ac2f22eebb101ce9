package main

import (
	"context"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// tool is a program of somebody else's that a run needs.
type tool struct {
	path    string // empty: not installed
	version string
	install string // what to do to get it
}

func (t tool) installed() bool { return t.path != "" }

// toolbox is what was found on this machine.
type toolbox struct {
	wrk, nginx, haproxy, caddy tool
	njs                        tool // its path is nginx's module
	haproxyLua                 tool // haproxy, when it was built with Lua
}

const (
	installDebian = "apt install nginx libnginx-mod-http-js haproxy wrk"
	installCaddy  = "go install github.com/caddyserver/caddy/v2/cmd/caddy@latest"
)

func findTools(ctx context.Context) toolbox {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var t toolbox
	t.wrk = findTool(ctx, "wrk", installDebian, "-v")
	t.nginx = findTool(ctx, "nginx", installDebian, "-v")
	t.haproxy = findTool(ctx, "haproxy", installDebian, "-v")
	t.caddy = findTool(ctx, "caddy", installCaddy, "version")
	if built, err := buildinfo.ReadFile(t.caddy.path); err == nil {
		t.caddy.version = "caddy " + built.Main.Version // its own version command says "unknown" after go install
	}

	t.njs = tool{install: installDebian}
	if path := nginxModule(output(ctx, t.nginx.path, "-V"), "ngx_http_js_module.so"); isFile(path) {
		t.njs.path, t.njs.version = path, t.nginx.version+" with njs"
	}
	t.haproxyLua = tool{install: installDebian + " (one built with Lua)"}
	if lua := luaVersion(output(ctx, t.haproxy.path, "-vv")); lua != "" {
		t.haproxyLua.path, t.haproxyLua.version = t.haproxy.path, t.haproxy.version+" with Lua "+lua
	}
	return t
}

// findTool looks for a program in PATH, in the folders for servers that a user's PATH often lacks, and where
// go install puts things.
func findTool(ctx context.Context, name, install, versionFlag string) tool {
	t := tool{install: install}
	if path, err := exec.LookPath(name); err == nil {
		t.path = path
	} else {
		goBin := filepath.Join(strings.TrimSpace(output(ctx, "go", "env", "GOPATH")), "bin")
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", goBin} {
			if path := filepath.Join(dir, name); isFile(path) {
				t.path = path
				break
			}
		}
	}
	if t.installed() {
		t.version = shortVersion(output(ctx, t.path, versionFlag))
	}
	return t
}

// output is what a program prints, also when it ends with an error, as some do after -v.
func output(ctx context.Context, path string, arguments ...string) string {
	if path == "" {
		return ""
	}
	out, _ := exec.CommandContext(ctx, path, arguments...).CombinedOutput()
	return string(out)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

var (
	modulesPath = regexp.MustCompile(`--modules-path=(\S+)`)
	withLua     = regexp.MustCompile(`Built with Lua version : Lua (\S+)`)
	versionNote = regexp.MustCompile(`^nginx version: |\s+\[.*| \d{4}/\d\d/\d\d.*| - https?:.*|Copyright.*`)
)

// nginxModule is where nginx keeps a dynamic module, by what nginx -V printed; empty when it does not say.
func nginxModule(printed, file string) string {
	if found := modulesPath.FindStringSubmatch(printed); found != nil {
		return filepath.Join(found[1], file)
	}
	return ""
}

// luaVersion is the Lua that haproxy was built with, by what haproxy -vv printed; empty without Lua.
func luaVersion(printed string) string {
	if found := withLua.FindStringSubmatch(printed); found != nil {
		return found[1]
	}
	return ""
}

// shortVersion is the first line of what a program says about itself, without dates and addresses.
func shortVersion(printed string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(printed), "\n")
	return strings.TrimSpace(versionNote.ReplaceAllString(line, ""))
}
