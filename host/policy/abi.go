package policy

import (
	"bytes"
	"encoding/binary"
)

// The ABIs of Wasm modules, as policy.toml names them, and Plugin, which is a program
// that speaks the protocol of package sdk/plugin.
const (
	httpWasm  = "http-wasm"
	proxyWasm = "proxy-wasm"
	Plugin    = "plugin"
)

// abiOf tells the ABI of a module by its exports: whatever has a callback or a
// version marker of proxy-wasm speaks that. A module that can't be read is left
// to the compiler to refuse.
func abiOf(module []byte) string {
	rest := section(module, exportSection)
	_, n := binary.Uvarint(rest) // how many there are
	for rest = rest[max(n, 0):]; len(rest) > 0; {
		name, behind, ok := cutSized(rest)
		if !ok || len(behind) == 0 {
			break
		}
		if bytes.HasPrefix(name, []byte("proxy_abi_version_")) || bytes.HasPrefix(name, []byte("proxy_on_")) {
			return proxyWasm
		}
		_, n := binary.Uvarint(behind[1:]) // behind the kind, an index
		rest = behind[1+max(n, 0):]
	}
	return httpWasm
}

const exportSection = 7

// section returns the content of a module's section, nil if there is none
// (WebAssembly 2.0, 5.5.2).
func section(module []byte, id byte) []byte {
	rest := module[min(8, len(module)):] // behind magic and version
	for len(rest) > 0 {
		content, behind, ok := cutSized(rest[1:])
		if !ok {
			return nil
		}
		if rest[0] == id {
			return content
		}
		rest = behind
	}
	return nil
}

// cutSized returns bytes that follow their number, and what is behind them.
func cutSized(b []byte) (content, behind []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	b = b[n:]
	return b[:size], b[size:], true
}
