package policy

import (
	"strings"
	"testing"
)

// exporting is a module of an empty custom section and functions by these names.
func exporting(names ...string) string {
	content := string([]byte{byte(len(names))})
	for _, name := range names {
		content += string([]byte{byte(len(name))}) + name + "\x00\x81\x01"
	}
	return "\x00asm\x01\x00\x00\x00" + "\x00\x02\x01x" + "\x07" + string([]byte{byte(len(content))}) + content
}

var abiModules = []struct{ module, want string }{
	{exporting("proxy_abi_version_0_2_1"), proxyWasm},
	{exporting("memory", "proxy_on_log"), proxyWasm},
	{exporting("handle_request", "handle_response"), httpWasm},
	{exporting("handle_request", "my_proxy_on_log"), httpWasm},
	{exporting(), httpWasm},
	{"", httpWasm},
	{"\x00asm", httpWasm},
	{"\x00asm\x01\x00\x00\x00\x07", httpWasm},
	{"\x00asm\x01\x00\x00\x00\x07\x05\x01\x09proxy_on_", httpWasm},
	{"\x00asm\x01\x00\x00\x00\x07\x02\x01\x01", httpWasm},
	{"\x00asm\x01\x00\x00\x00\x07\x03\x01\x00\x00", httpWasm},
	{"\x00asm\x01\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", httpWasm},
}

func TestABIOf(t *testing.T) {
	for _, test := range abiModules {
		if got := abiOf([]byte(test.module)); got != test.want {
			t.Errorf("%q: got %s, want %s", test.module, got, test.want)
		}
	}
}

func FuzzABIOf(f *testing.F) {
	for _, test := range abiModules {
		f.Add([]byte(test.module))
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		if abiOf(module) == proxyWasm && !strings.Contains(string(module), "proxy_") {
			t.Errorf("%q speaks %s", module, proxyWasm)
		}
	})
}
