package reseed

//go:wasmexport ergo_reseed
func exported() { reseed() }
