// Package wire carries single tries of exchanges to single endpoints: it makes
// and keeps connections, speaks HTTP over them, and says what went wrong.
//
// HTTP/1.1 is the host's own, http1. HTTP/2 is golang.org/x/net/http2 by way of
// net/http's client connections, of which nothing shows in the package's API.
package wire
