// Command greet is a policy for tests, in plain Go: it answers with who the client
// is.
package main

func main() {} // never runs
