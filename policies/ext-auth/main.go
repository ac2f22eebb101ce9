// Ext-auth lets a request pass if a service says so. See README.md.
package main

// main never runs: the host calls what register_wasip1.go registers.
func main() {}
