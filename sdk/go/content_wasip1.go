package guest

import "unsafe"

// The functions of ergo_crypto for content.

//go:wasmimport ergo_crypto wrap
func cryptoWrap(name unsafe.Pointer, nameLength uint32, enc unsafe.Pointer, encLength uint32, handle unsafe.Pointer,
	buf unsafe.Pointer, limit uint32, length unsafe.Pointer) uint32

//go:wasmimport ergo_crypto unwrap
func cryptoUnwrap(name unsafe.Pointer, nameLength uint32, id unsafe.Pointer, idLength uint32, enc unsafe.Pointer, encLength uint32,
	encrypted unsafe.Pointer, encryptedLength uint32, agreement unsafe.Pointer, agreementLength uint32, handle unsafe.Pointer) uint32

//go:wasmimport ergo_crypto encrypt
func cryptoEncrypt(handle uint32, content unsafe.Pointer, contentLength uint32, associated unsafe.Pointer, associatedLength uint32,
	buf unsafe.Pointer, limit uint32, length unsafe.Pointer) uint32

//go:wasmimport ergo_crypto decrypt
func cryptoDecrypt(handle uint32, nonce unsafe.Pointer, nonceLength uint32, ciphertext unsafe.Pointer, ciphertextLength uint32,
	tag unsafe.Pointer, tagLength uint32, associated unsafe.Pointer, associatedLength uint32,
	buf unsafe.Pointer, limit uint32, length unsafe.Pointer) uint32

//go:wasmimport ergo_crypto drop
func hostDropKey(handle uint32) uint32

func hostWrap(name, enc string, handle *uint32, buf []byte) (length, status uint32) {
	nameAt, nameLength := at(name)
	encAt, encLength := at(enc)
	to, limit := room(buf)
	status = cryptoWrap(nameAt, nameLength, encAt, encLength, unsafe.Pointer(handle), to, limit, unsafe.Pointer(&length))
	return length, status
}

func hostUnwrap(name, id, enc string, encrypted []byte, agreement string) (handle, status uint32) {
	nameAt, nameLength := at(name)
	idAt, idLength := at(id)
	encAt, encLength := at(enc)
	from, fromLength := room(encrypted)
	with, withLength := at(agreement)
	status = cryptoUnwrap(nameAt, nameLength, idAt, idLength, encAt, encLength, from, fromLength, with, withLength, unsafe.Pointer(&handle))
	return handle, status
}

func hostEncrypt(handle uint32, content, associated, buf []byte) (length, status uint32) {
	from, fromLength := room(content)
	with, withLength := room(associated)
	to, limit := room(buf)
	status = cryptoEncrypt(handle, from, fromLength, with, withLength, to, limit, unsafe.Pointer(&length))
	return length, status
}

func hostDecrypt(handle uint32, nonce, ciphertext, tag, associated, buf []byte) (length, status uint32) {
	nonceAt, nonceLength := room(nonce)
	from, fromLength := room(ciphertext)
	tagAt, tagLength := room(tag)
	with, withLength := room(associated)
	to, limit := room(buf)
	status = cryptoDecrypt(handle, nonceAt, nonceLength, from, fromLength, tagAt, tagLength, with, withLength, to, limit, unsafe.Pointer(&length))
	return length, status
}
