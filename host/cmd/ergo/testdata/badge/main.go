// Command badge is a policy for tests, in plain Go: it lets pass who has the
// token, and says who that is.
package main

func main() {} // never runs
