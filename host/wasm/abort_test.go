package wasm

import (
	"context"
	"testing"
	"unicode/utf16"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// newMemory returns a module that has a page of memory and nothing else.
func newMemory(t testing.TB) api.Module {
	t.Helper()
	r := wazero.NewRuntime(context.Background())
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Instantiate(context.Background(), []byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01\x07\x0a\x01\x06memory\x02\x00"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// writeScriptText puts a string where AssemblyScript would have it.
func writeScriptText(m api.Module, at uint32, text string) {
	units := utf16.Encode([]rune(text))
	m.Memory().WriteUint32Le(at-4, uint32(2*len(units)))
	for i, u := range units {
		m.Memory().WriteUint16Le(at+uint32(2*i), u)
	}
}

func abortWith(m api.Module, stack ...uint64) (said string) {
	defer func() { said = recover().(error).Error() }()
	f := Abort()
	f.Call(context.Background(), m, stack)
	return ""
}

func TestAbortSaysWhatTheGuestSaid(t *testing.T) {
	m := newMemory(t)
	writeScriptText(m, 64, "größer 𝄞")
	writeScriptText(m, 256, "a.ts")
	if got, want := abortWith(m, 64, 256, 7, 9), "abort: größer 𝄞 at a.ts:7:9"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	m.Memory().WriteUint32Le(512-4, 1<<31)
	for _, at := range []uint64{0, 1, 3, 512, 65535, 65536, 1 << 31, 1<<32 - 1} {
		if got := abortWith(m, at, 0, 0, 0); len(got) > maxAbortBytes+64 {
			t.Errorf("text at %d: %d bytes", at, len(got))
		}
	}
}

func FuzzAbort(f *testing.F) {
	f.Add(uint32(64), uint32(10), []byte("a\x00b\x00"))
	f.Add(uint32(0), uint32(1<<31), []byte{})
	m := newMemory(f)
	f.Fuzz(func(t *testing.T, at, length uint32, text []byte) {
		m.Memory().WriteUint32Le(at-4, length)
		m.Memory().Write(at, text)
		if got := abortWith(m, uint64(at), uint64(at), 1, 1); got == "" {
			t.Error("it did not trap")
		}
	})
}
