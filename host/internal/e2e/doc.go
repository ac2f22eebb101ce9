// Package e2e tests the laws of proxying through the whole host: real clients on
// real sockets, the ergo command as users start it, policies as they are shipped,
// and origins that notice everything.
//
// Packages below have tests of their own for their part of a law; here is what
// must hold for all parts together, through each kind of policy and over each
// version of HTTP.
package e2e
