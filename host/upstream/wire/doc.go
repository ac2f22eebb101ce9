// Package wire carries single tries of exchanges to single endpoints: it makes
// and keeps connections, speaks HTTP over them, and says what went wrong.
//
// It stands on net/http's client connections for now. Nothing of net/http shows
// in its API, so that a client of our own can take their place.
package wire
