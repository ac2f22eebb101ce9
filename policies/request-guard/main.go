// Request-guard refuses requests that no application should have to think about:
// unknown methods, paths that mean different things to different readers, sizes
// and content types that were not agreed. See README.md.
package main

// main never runs: the host calls what register_wasip1.go registers.
func main() {}
