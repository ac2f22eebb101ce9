// Basic lets a request pass only with the name and the password of a known user
// (RFC 7617). See README.md.
package main

// main never runs: the host calls what register_wasip1.go registers.
func main() {}
