package proxywasm

import "github.com/ergoproxy/ergo/host/manifest"

func settings(pause string) *manifest.ProxyWasm {
	return &manifest.ProxyWasm{RootID: "root", VMConfig: "vm", Pause: pause}
}
