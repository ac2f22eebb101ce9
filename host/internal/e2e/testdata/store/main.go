// Command store is a policy for tests, in plain Go: it stores responses and answers
// from them, and does with them what the request's field x-do asks.
package main

func main() {} // never runs
