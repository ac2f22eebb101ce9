package guest

import "unsafe"

//go:wasmimport ergo_random get
func hostRandom(buf unsafe.Pointer, length uint32)

func drawRandom(b []byte) { hostRandom(room(b)) }
