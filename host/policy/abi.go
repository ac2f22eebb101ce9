package policy

import (
	"bytes"
	"encoding/binary"
)

// The ABIs of Wasm modules, as policy.toml names them.
const (
	httpWasm  = "http-wasm"
	proxyWasm = "proxy-wasm"
)

// abiOf tells the ABI of a module by its exports: whatever has a callback or a
// version marker of proxy-wasm speaks that. A module that can't be read is left
// to the compiler to refuse.
func abiOf(module []byte) string {
	exports := section(module, exportSection)
	for _, prefix := range []string{"proxy_abi_version_", "proxy_on_"} {
		if bytes.Contains(exports, []byte(prefix)) {
			return proxyWasm
		}
	}
	return httpWasm
}

const exportSection = 7

// section returns the content of a module's section, nil if there is none
// (WebAssembly 2.0, 5.5.2).
func section(module []byte, id byte) []byte {
	rest := module[min(8, len(module)):] // behind magic and version
	for len(rest) > 0 {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || size > uint64(len(rest)-1-n) {
			return nil
		}
		content := rest[1+n : 1+n+int(size)]
		if rest[0] == id {
			return content
		}
		rest = rest[1+n+int(size):]
	}
	return nil
}
