package guest

import "unsafe"

// The functions of ergo_kv.

//go:wasmimport ergo_kv get
func hostKVGet(key unsafe.Pointer, keyLength uint32, buf unsafe.Pointer, limit uint32, result unsafe.Pointer) uint32

//go:wasmimport ergo_kv set
func hostKVSet(key unsafe.Pointer, keyLength uint32, value unsafe.Pointer, valueLength uint32, ttl uint64, result unsafe.Pointer) uint32

//go:wasmimport ergo_kv set_if
func hostKVSetIf(key unsafe.Pointer, keyLength uint32, value unsafe.Pointer, valueLength uint32, ttl, version uint64, result unsafe.Pointer) uint32

//go:wasmimport ergo_kv delete
func hostKVDelete(key unsafe.Pointer, keyLength uint32) uint32

//go:wasmimport ergo_kv delete_if
func hostKVDeleteIf(key unsafe.Pointer, keyLength uint32, version uint64) uint32

//go:wasmimport ergo_kv add
func hostKVAdd(key unsafe.Pointer, keyLength uint32, delta int64, ttl uint64, result unsafe.Pointer) uint32

//go:wasmimport ergo_kv take
func hostKVTake(key unsafe.Pointer, keyLength uint32, tokens, per, burst, n uint32, result unsafe.Pointer) uint32

//go:wasmimport ergo_kv window
func hostKVWindow(key unsafe.Pointer, keyLength uint32, limit, per, n uint32, result unsafe.Pointer) uint32

func kvGet(key string, buf []byte, result *[12]byte) uint32 {
	keyAt, keyLength := at(key)
	to, limit := room(buf)
	return hostKVGet(keyAt, keyLength, to, limit, unsafe.Pointer(result))
}

func kvSet(key string, value []byte, ttl uint64, result *[8]byte) uint32 {
	keyAt, keyLength := at(key)
	from, length := room(value)
	return hostKVSet(keyAt, keyLength, from, length, ttl, unsafe.Pointer(result))
}

func kvSetIf(key string, value []byte, ttl, version uint64, result *[8]byte) uint32 {
	keyAt, keyLength := at(key)
	from, length := room(value)
	return hostKVSetIf(keyAt, keyLength, from, length, ttl, version, unsafe.Pointer(result))
}

func kvDelete(key string) uint32 { return hostKVDelete(at(key)) }

func kvDeleteIf(key string, version uint64) uint32 {
	keyAt, keyLength := at(key)
	return hostKVDeleteIf(keyAt, keyLength, version)
}

func kvAdd(key string, delta int64, ttl uint64, result *[8]byte) uint32 {
	keyAt, keyLength := at(key)
	return hostKVAdd(keyAt, keyLength, delta, ttl, unsafe.Pointer(result))
}

func kvTake(key string, b KVBucket, n uint32, result *[16]byte) uint32 {
	keyAt, keyLength := at(key)
	return hostKVTake(keyAt, keyLength, b.Tokens, b.PerMS, b.Burst, n, unsafe.Pointer(result))
}

func kvWindow(key string, w KVWindow, n uint32, result *[16]byte) uint32 {
	keyAt, keyLength := at(key)
	return hostKVWindow(keyAt, keyLength, w.Limit, w.PerMS, n, unsafe.Pointer(result))
}
