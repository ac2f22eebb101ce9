package capability

import (
	"encoding/binary"
	"io"
	"testing"

	"github.com/ergoproxy/ergo/host/wasm"
)

// FuzzCache calls every function with any pointers, lengths and numbers, over any
// memory. Nothing may come of it but a trap of the guest's, and a response that is made
// is as long as it says.
func FuzzCache(f *testing.F) {
	c := newCacher(f, newPolicyCache(f))
	for i, function := range Cache().Functions {
		f.Add(uint8(i), []byte{}, []byte{})
		if function.Name == "compose" {
			numbers := binary.LittleEndian.AppendUint64(make([]byte, 8), 206)
			numbers = binary.LittleEndian.AppendUint64(numbers, 1024)
			f.Add(uint8(i), binary.LittleEndian.AppendUint64(numbers, 2*sliceBytes), []byte(slicesOf(0, 2, 8, 0, 0, 2)))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, numbers, memory []byte) {
		c.t = t
		c.next()
		c.put("key", "0123456789")
		c.want(1, "lookup", "key")
		c.respond(200, "body")
		c.instance.Memory().Write(1024, memory[:min(len(memory), 32<<10)])
		function := Cache().Functions[int(which)%len(Cache().Functions)]
		params := make([]uint64, len(function.Params), len(function.Params)+1)
		for i := range params {
			var number [8]byte
			numbers = numbers[copy(number[:], numbers):]
			params[i] = binary.LittleEndian.Uint64(number[:])
			if function.Params[i] == wasm.I32 {
				params[i] = uint64(uint32(params[i]))
			}
		}
		if _, err := c.callStack(function.Name, params); err != nil && !isOutside(err) {
			t.Errorf("%s%v: %v", function.Name, params, err)
		}
		if r := c.stay.response; r != nil && r.Body != nil {
			if n, err := io.Copy(io.Discard, r.Body); err != nil || n != r.Length {
				t.Errorf("%s%v: got %d bytes, %v, want %d", function.Name, params, n, err, r.Length)
			}
			_ = r.Body.Close()
		}
		_, _ = io.Copy(io.Discard, c.x.Response.Body)
	})
}
