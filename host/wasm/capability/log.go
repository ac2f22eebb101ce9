package capability

import (
	"bytes"
	"context"
	"log/slog"
	"strings"

	"github.com/tetratelabs/wazero/api"

	"github.com/ergoproxy/ergo/host/wasm"
)

// Log is the module ergo_log: a guest says more than a line of text.
//
//	emit(level, message, message_len, fields, fields_len)
//	annotate(key, key_len, value, value_len)
//
// emit writes a line with fields to the host's log, within the policy's rate:
// levels are -1 debug, 0 info, 1 warn, 2 error, and others are dropped; fields,
// which stand in a group of that name, is a sequence "key\0value\0..." of which the first 16 pairs count, cut at
// 8 KiB. annotate adds a field to the access-log line of the exchange; the
// exchange bounds how many. Keys are cut at 64 bytes, annotated values at 1 KiB;
// an empty key is ignored.
func Log() wasm.HostModule {
	return wasm.HostModule{Name: "ergo_log", Functions: []wasm.HostFunction{
		function("emit", 5, nil, emit),
		function("annotate", 4, nil, annotate),
	}}
}

const (
	maxPairs      = 16
	maxFieldBytes = 8 << 10
	maxKeyBytes   = 64
	maxNoteBytes  = 1 << 10
)

func emit(ctx context.Context, mod api.Module, stack []uint64) {
	call := wasm.CallOf(ctx)
	message := read(mod, stack[1], stack[2])
	fields := read(mod, stack[3], stack[4])
	level := int32(uint32(stack[0]))
	if level < -1 || level > 2 || !call.Log.Enabled(slog.Level(level*4)) {
		return
	}
	call.Log.Emit(call, slog.Level(level*4), message,
		slog.Attr{Key: "fields", Value: slog.GroupValue(attributes(fields)...)})
}

// attributes parses "key\0value\0..."; a last value may lack its NUL.
func attributes(fields []byte) []slog.Attr {
	fields = fields[:min(len(fields), maxFieldBytes)]
	var attrs []slog.Attr
	for len(fields) > 0 && len(attrs) < maxPairs {
		var key, value []byte
		key, fields, _ = bytes.Cut(fields, []byte{0})
		value, fields, _ = bytes.Cut(fields, []byte{0})
		if len(key) > 0 {
			attrs = append(attrs, slog.String(text(key, maxKeyBytes), text(value, maxFieldBytes)))
		}
	}
	return attrs
}

func annotate(ctx context.Context, mod api.Module, stack []uint64) {
	x := wasm.CallOf(ctx).MustExchange()
	key := read(mod, stack[0], stack[1])
	value := read(mod, stack[2], stack[3])
	if len(key) > 0 {
		x.Annotate(text(key, maxKeyBytes), text(value, maxNoteBytes))
	}
}

// text is a guest's bytes as valid UTF-8 of at most max bytes of input.
func text(b []byte, max int) string {
	return strings.ToValidUTF8(string(b[:min(len(b), max)]), "\ufffd")
}
