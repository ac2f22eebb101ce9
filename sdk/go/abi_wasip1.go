package guest

import "unsafe"

// The host's functions. Names, parameters and results are those of the http-wasm
// ABI and of Ergo's capability modules.

//go:wasmimport http_handler enable_features
func enableFeatures(features uint32) uint32

//go:wasmimport http_handler get_config
func hostGetConfig(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler log
func hostLog(level int32, message unsafe.Pointer, length uint32)

//go:wasmimport http_handler log_enabled
func logEnabled(level int32) uint32

//go:wasmimport http_handler get_method
func hostGetMethod(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler set_method
func hostSetMethod(method unsafe.Pointer, length uint32)

//go:wasmimport http_handler get_uri
func hostGetURI(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler set_uri
func hostSetURI(uri unsafe.Pointer, length uint32)

//go:wasmimport http_handler get_protocol_version
func hostGetProtocolVersion(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_source_addr
func hostGetSourceAddr(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_header_names
func hostGetHeaderNames(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler get_header_values
func hostGetHeaderValues(kind uint32, name unsafe.Pointer, nameLength uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler set_header_value
func hostSetHeaderValue(kind uint32, name unsafe.Pointer, nameLength uint32, value unsafe.Pointer, valueLength uint32)

//go:wasmimport http_handler add_header_value
func hostAddHeaderValue(kind uint32, name unsafe.Pointer, nameLength uint32, value unsafe.Pointer, valueLength uint32)

//go:wasmimport http_handler remove_header
func hostRemoveHeader(kind uint32, name unsafe.Pointer, nameLength uint32)

//go:wasmimport http_handler read_body
func hostReadBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler write_body
func hostWriteBody(kind uint32, body unsafe.Pointer, length uint32)

//go:wasmimport http_handler get_status_code
func getStatusCode() uint32

//go:wasmimport http_handler set_status_code
func setStatusCode(status uint32)

//go:wasmimport ergo_route set_upstream
func hostSetUpstream(name unsafe.Pointer, length uint32) uint32

//go:wasmimport ergo_route add_fallback
func hostAddFallback(name unsafe.Pointer, length uint32) uint32

//go:wasmimport ergo_route get_upstream
func hostGetUpstream(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_route set_hash_key
func hostSetHashKey(key unsafe.Pointer, length uint32) uint32

//go:wasmimport ergo_route set_timeout
func hostSetTimeout(milliseconds uint32) uint32

//go:wasmimport ergo_route set_retries
func hostSetRetries(count uint32) uint32

//go:wasmimport ergo_log emit
func hostEmit(level int32, message unsafe.Pointer, length uint32, fields unsafe.Pointer, fieldsLength uint32)

//go:wasmimport ergo_log annotate
func hostAnnotate(key unsafe.Pointer, keyLength uint32, value unsafe.Pointer, valueLength uint32)

func at(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

func room(buf []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(buf)), uint32(len(buf))
}

func getConfig(buf []byte) uint32          { return hostGetConfig(room(buf)) }
func getMethod(buf []byte) uint32          { return hostGetMethod(room(buf)) }
func getURI(buf []byte) uint32             { return hostGetURI(room(buf)) }
func getProtocolVersion(buf []byte) uint32 { return hostGetProtocolVersion(room(buf)) }
func getSourceAddr(buf []byte) uint32      { return hostGetSourceAddr(room(buf)) }
func getUpstream(buf []byte) uint32        { return hostGetUpstream(room(buf)) }

func setMethod(method string)          { hostSetMethod(at(method)) }
func setURI(uri string)                { hostSetURI(at(uri)) }
func setUpstream(name string) uint32   { return hostSetUpstream(at(name)) }
func addFallback(name string) uint32   { return hostAddFallback(at(name)) }
func setHashKey(key string) uint32     { return hostSetHashKey(at(key)) }
func setTimeout(ms uint32) uint32      { return hostSetTimeout(ms) }
func setRetries(count uint32) uint32   { return hostSetRetries(count) }
func writeLog(level int32, msg string) { msgAt, length := at(msg); hostLog(level, msgAt, length) }

func getHeaderNames(kind uint32, buf []byte) uint64 {
	to, limit := room(buf)
	return hostGetHeaderNames(kind, to, limit)
}

func getHeaderValues(kind uint32, name string, buf []byte) uint64 {
	nameAt, nameLength := at(name)
	to, limit := room(buf)
	return hostGetHeaderValues(kind, nameAt, nameLength, to, limit)
}

func setHeaderValue(kind uint32, name, value string) {
	nameAt, nameLength := at(name)
	valueAt, valueLength := at(value)
	hostSetHeaderValue(kind, nameAt, nameLength, valueAt, valueLength)
}

func addHeaderValue(kind uint32, name, value string) {
	nameAt, nameLength := at(name)
	valueAt, valueLength := at(value)
	hostAddHeaderValue(kind, nameAt, nameLength, valueAt, valueLength)
}

func removeHeader(kind uint32, name string) {
	nameAt, nameLength := at(name)
	hostRemoveHeader(kind, nameAt, nameLength)
}

func readBody(kind uint32, buf []byte) uint64 {
	to, limit := room(buf)
	return hostReadBody(kind, to, limit)
}

func writeBody(kind uint32, body []byte) {
	from, length := room(body)
	hostWriteBody(kind, from, length)
}

func emit(level int32, message, fields string) {
	messageAt, length := at(message)
	fieldsAt, fieldsLength := at(fields)
	hostEmit(level, messageAt, length, fieldsAt, fieldsLength)
}

func annotate(key, value string) {
	keyAt, keyLength := at(key)
	valueAt, valueLength := at(value)
	hostAnnotate(keyAt, keyLength, valueAt, valueLength)
}
