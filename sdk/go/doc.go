// Package guest is for writing Ergo policies in plain Go.
//
// A policy is a command whose init function registers it, in a file that only a
// build for wasip1 sees:
//
//	//go:build wasip1
//
//	package main
//
//	import guest "github.com/ergoproxy/ergo/sdk/go"
//
//	func init() {
//		guest.Register(func(config []byte) (guest.Policy, error) {
//			return guest.Policy{Request: func(request guest.Request) guest.Flow {
//				if _, found := request.Header().Get("x-pass"); !found {
//					return request.Answer(403).Text("no\n")
//				}
//				return guest.Continue
//			}}, nil
//		})
//	}
//
// and an empty main beside it, because main never runs:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w" -o policy.wasm .
//
// It speaks the http-wasm ABI (http_handler). The module imports only what its
// code uses, so that a policy that calls none of the functions of ergo_route,
// ergo_log, ergo_kv or ergo_http needs no grant.
//
// The Go runtime alone is 1.8 MB; encoding/json doubles that. Package config
// reads a configuration without it.
//
// On any other platform the host is a [Fake], so that policies have ordinary
// tests.
package guest
