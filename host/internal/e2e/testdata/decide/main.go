// Command decide is a policy for tests, in plain Go: it asks the URL in the
// request's field x-ask whether the request may pass.
package main

func main() {} // never runs
