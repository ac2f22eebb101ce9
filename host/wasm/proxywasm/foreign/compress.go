package foreign

import (
	"bytes"
	"compress/zlib"
	"io"

	"github.com/ergoproxy/ergo/host/wasm/proxywasm/property"
)

func compress(_ *Functions, args []byte, _ *property.Source) ([]byte, Status) {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	w.Write(args) // a buffer takes everything
	w.Close()
	return out.Bytes(), OK
}

// uncompress fails past maxArguments. What follows the end is ignored.
func uncompress(_ *Functions, args []byte, _ *property.Source) ([]byte, Status) {
	r, err := zlib.NewReader(bytes.NewReader(args))
	if err != nil {
		return nil, SerializationFailure
	}
	out, err := io.ReadAll(io.LimitReader(r, maxArguments+1))
	if err != nil || len(out) > maxArguments {
		return nil, SerializationFailure
	}
	return out, OK
}
