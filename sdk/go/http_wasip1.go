package guest

import "unsafe"

//go:wasmimport ergo_http start
func hostStartCall(method unsafe.Pointer, methodLength uint32, url unsafe.Pointer, urlLength uint32, fields unsafe.Pointer, fieldsLength uint32, body unsafe.Pointer, bodyLength uint32, timeout uint32, handle unsafe.Pointer) uint32

//go:wasmimport ergo_http await
func hostAwaitCall(handle, timeout uint32) uint32

//go:wasmimport ergo_http get_status
func hostGetCallStatus(handle uint32) uint32

//go:wasmimport ergo_http get_fields
func hostGetCallFields(handle, kind uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_http get_body_length
func hostGetCallBodyLength(handle uint32) uint32

//go:wasmimport ergo_http read_body
func hostReadCallBody(handle, offset uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_http close
func hostCloseCall(handle uint32) uint32

//go:wasmimport ergo_http send
func hostSendCall(method unsafe.Pointer, methodLength uint32, url unsafe.Pointer, urlLength uint32, fields unsafe.Pointer, fieldsLength uint32, body unsafe.Pointer, bodyLength uint32, timeout uint32) uint32

func sendCall(method, url, fields string, body []byte, timeout uint32) uint32 {
	methodAt, methodLength := at(method)
	urlAt, urlLength := at(url)
	fieldsAt, fieldsLength := at(fields)
	bodyAt, bodyLength := room(body)
	return hostSendCall(methodAt, methodLength, urlAt, urlLength, fieldsAt, fieldsLength, bodyAt, bodyLength, timeout)
}

func startCall(method, url, fields string, body []byte, timeout uint32) (handle, status uint32) {
	methodAt, methodLength := at(method)
	urlAt, urlLength := at(url)
	fieldsAt, fieldsLength := at(fields)
	bodyAt, bodyLength := room(body)
	status = hostStartCall(methodAt, methodLength, urlAt, urlLength, fieldsAt, fieldsLength, bodyAt, bodyLength, timeout, unsafe.Pointer(&handle))
	return handle, status
}

func awaitCall(handle, timeout uint32) uint32 { return hostAwaitCall(handle, timeout) }
func getCallStatus(handle uint32) uint32      { return hostGetCallStatus(handle) }
func getCallBodyLength(handle uint32) uint32  { return hostGetCallBodyLength(handle) }
func closeCall(handle uint32)                 { hostCloseCall(handle) }

func getCallFields(handle, kind uint32, buf []byte) uint32 {
	to, limit := room(buf)
	return hostGetCallFields(handle, kind, to, limit)
}

func readCallBody(handle, offset uint32, buf []byte) uint32 {
	to, limit := room(buf)
	return hostReadCallBody(handle, offset, to, limit)
}
