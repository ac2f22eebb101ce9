package httpwasm

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/ergoproxy/ergo/host/wasm"
)

// A guest does the same to an exchange, and finds the same, with and without a
// meter.
func TestMeteredGuestsBehaveAlike(t *testing.T) {
	scripts := append(hostileScripts(), headerOnly, script{
		start: []step{do("enable_features", 7)},
		request: []step{
			do("read_all", requestBody, out(0), 100), do("get_header_names", requestFields, out(1), room),
			do("get_method", out(2), room), do("get_uri", out(3), room), do("get_source_addr", out(4), room),
			do("set_uri", "/else"), do("add_header_value", requestFields, "x-many", "three"), do("write_body", requestBody, "other"),
		},
		response: []step{
			do("echo", responseBody, out(5), 3, responseBody), do("set_status_code", 404),
			do("get_header_names", responseFields, out(6), room), do("set_header_value", responseTrailers, "x-end", "1"),
		},
	})
	// On the heap, memory can be looked at when its guest is gone.
	metered := openEngineWith(t, wasm.Options{HeapMemory: true})
	unmetered := openEngineWith(t, wasm.Options{HeapMemory: true, Unmetered: true})
	for n, s := range scripts {
		got, memory := footprint(t, metered, s)
		want, memoryWant := footprint(t, unmetered, s)
		if got != want {
			t.Errorf("script %d: got\n%s\nwant\n%s", n, got, want)
		}
		if !bytes.Equal(memory, memoryWant) {
			t.Errorf("script %d leaves another memory behind", n)
		}
	}
}

// footprint is what a script made of an exchange, and of its guest's memory.
func footprint(t *testing.T, engine *wasm.Engine, s script) (text string, memory []byte) {
	t.Helper()
	x := withBody("the request")
	c := carryWith(t, loadSpec(t, engine, specOf(s)), s, x)
	verdict, err := c.policy.OnRequestHead(c.session, x)
	text = fmt.Sprint(verdict, err != nil, x.Request.Line(), fieldsText(&x.Request.Header))
	if err == nil {
		text += readAll(t, x.Request.Body)
		answered(x, 200, "the response")
		err = c.policy.OnResponseHead(c.session, x)
		text += fmt.Sprint(err != nil, x.Response.Status, fieldsText(&x.Response.Header), readAll(t, x.Response.Body), fieldsText(&x.Response.Trailer))
	}
	m := c.guest.instance.Memory()
	all, _ := m.Read(0, m.Size())
	return text, bytes.Clone(all)
}
