package guest

import "unsafe"

// The functions of ergo_crypto.

//go:wasmimport ergo_crypto digest
func cryptoDigest(kind uint32, data unsafe.Pointer, length uint32, out unsafe.Pointer) uint32

//go:wasmimport ergo_crypto equal
func cryptoEqual(a unsafe.Pointer, aLength uint32, b unsafe.Pointer, bLength uint32) uint32

//go:wasmimport ergo_crypto random
func cryptoRandom(buf unsafe.Pointer, length uint32)

//go:wasmimport ergo_crypto key_id
func cryptoKeyID(name unsafe.Pointer, length uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_crypto algorithm
func cryptoAlgorithm(name unsafe.Pointer, length uint32, buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport ergo_crypto seal
func cryptoSeal(name unsafe.Pointer, nameLength uint32, plaintext unsafe.Pointer, plaintextLength uint32,
	associated unsafe.Pointer, associatedLength uint32, buf unsafe.Pointer, limit uint32, length unsafe.Pointer) uint32

//go:wasmimport ergo_crypto open
func cryptoOpen(name unsafe.Pointer, nameLength uint32, sealed unsafe.Pointer, sealedLength uint32,
	associated unsafe.Pointer, associatedLength uint32, buf unsafe.Pointer, limit uint32, length unsafe.Pointer) uint32

//go:wasmimport ergo_crypto sign
func cryptoSign(name unsafe.Pointer, nameLength uint32, data unsafe.Pointer, dataLength uint32,
	buf unsafe.Pointer, limit uint32, length unsafe.Pointer) uint32

//go:wasmimport ergo_crypto verify
func cryptoVerify(name unsafe.Pointer, nameLength uint32, id unsafe.Pointer, idLength uint32,
	data unsafe.Pointer, dataLength uint32, signature unsafe.Pointer, signatureLength uint32) uint32

//go:wasmimport ergo_crypto verify_with
func cryptoVerifyWith(algorithm unsafe.Pointer, algorithmLength uint32, jwk unsafe.Pointer, jwkLength uint32,
	data unsafe.Pointer, dataLength uint32, signature unsafe.Pointer, signatureLength uint32) uint32

//go:wasmimport ergo_crypto check_jwk
func cryptoCheckJWK(algorithm unsafe.Pointer, algorithmLength uint32, jwk unsafe.Pointer, jwkLength uint32) uint32

//go:wasmimport ergo_crypto password_verify
func cryptoPasswordVerify(hash unsafe.Pointer, hashLength uint32, password unsafe.Pointer, passwordLength uint32) uint32

func hostDigest(kind uint32, data, sum []byte) uint32 {
	from, length := room(data)
	to, _ := room(sum)
	return cryptoDigest(kind, from, length, to)
}

func hostEqual(a, b []byte) uint32 {
	aAt, aLength := room(a)
	bAt, bLength := room(b)
	return cryptoEqual(aAt, aLength, bAt, bLength)
}

func hostCryptoRandom(b []byte) { cryptoRandom(room(b)) }

func hostKeyID(name string, buf []byte) uint32 {
	nameAt, length := at(name)
	to, limit := room(buf)
	return cryptoKeyID(nameAt, length, to, limit)
}

func hostKeyAlgorithm(name string, buf []byte) uint32 {
	nameAt, length := at(name)
	to, limit := room(buf)
	return cryptoAlgorithm(nameAt, length, to, limit)
}

func hostSeal(name string, plaintext, associated, buf []byte) (length, status uint32) {
	nameAt, nameLength := at(name)
	from, fromLength := room(plaintext)
	with, withLength := room(associated)
	to, limit := room(buf)
	status = cryptoSeal(nameAt, nameLength, from, fromLength, with, withLength, to, limit, unsafe.Pointer(&length))
	return length, status
}

func hostOpen(name string, sealed, associated, buf []byte) (length, status uint32) {
	nameAt, nameLength := at(name)
	from, fromLength := room(sealed)
	with, withLength := room(associated)
	to, limit := room(buf)
	status = cryptoOpen(nameAt, nameLength, from, fromLength, with, withLength, to, limit, unsafe.Pointer(&length))
	return length, status
}

func hostSign(name string, data, buf []byte) (length, status uint32) {
	nameAt, nameLength := at(name)
	from, fromLength := room(data)
	to, limit := room(buf)
	status = cryptoSign(nameAt, nameLength, from, fromLength, to, limit, unsafe.Pointer(&length))
	return length, status
}

func hostVerify(name, id string, data, signature []byte) uint32 {
	nameAt, nameLength := at(name)
	idAt, idLength := at(id)
	from, fromLength := room(data)
	by, byLength := room(signature)
	return cryptoVerify(nameAt, nameLength, idAt, idLength, from, fromLength, by, byLength)
}

func hostVerifyWith(algorithm string, jwk, data, signature []byte) uint32 {
	algorithmAt, algorithmLength := at(algorithm)
	key, keyLength := room(jwk)
	from, fromLength := room(data)
	by, byLength := room(signature)
	return cryptoVerifyWith(algorithmAt, algorithmLength, key, keyLength, from, fromLength, by, byLength)
}

func hostCheckJWK(algorithm string, jwk []byte) uint32 {
	algorithmAt, algorithmLength := at(algorithm)
	key, keyLength := room(jwk)
	return cryptoCheckJWK(algorithmAt, algorithmLength, key, keyLength)
}

func hostPasswordVerify(hash string, password []byte) uint32 {
	hashAt, hashLength := at(hash)
	from, length := room(password)
	return cryptoPasswordVerify(hashAt, hashLength, from, length)
}
